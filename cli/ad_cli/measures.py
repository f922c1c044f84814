"""How the measures a job ended with are laid out: those that matter first, intervals beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ad_platform.results import leak_check_of, observed_of
from ad_platform.rungs import rungs_of
from ad_platform.states import JobKind

if TYPE_CHECKING:
    from ad_platform.records import Job
    from ad_platform.specs import Json

IMAGE_AUROC = "test/image_auroc"
# What a person looks for first. The store may give names back in another order than they were written in.
HEADLINES = {
    IMAGE_AUROC: "image AUROC",
    "test/pixel_auroc": "pixel AUROC",
    "test/aupro_30": "AUPRO 0.3",
    "validation/image_auroc": "validation image AUROC",
    "validation/pixel_auroc": "validation pixel AUROC",
}
# What fits a column beside its number.
SHORT = {
    "image_auroc": "AUROC",
    "image_ap": "AP",
    "image_f1_max": "F1",
    "pixel_auroc": "pxAUROC",
    "pixel_ap": "pxAP",
    "pixel_f1_max": "pxF1",
    "aupro_30": "AUPRO",
    "aupro_05": "AUPRO05",
}
DEFECT_COLUMNS = {
    "IMAGE AUROC": "image_auroc",
    "PIXEL AUROC": "pixel_auroc",
    "AUPRO 0.3": "aupro_30",
    "AUPRO 0.05": "aupro_05",
}
LEAK = {True: "passed", False: "FAILED", None: "unknown"}
NO_DEFECTS = "n/a: there were no anomalous test images, or no good ones"


def in_order(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics with the headlines first, then those of each group by name."""
    rest = sorted(name for name in metrics if name not in HEADLINES)
    return {name: metrics[name] for name in (*HEADLINES, *rest) if name in metrics}


def measures(job: Job, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return each measure as text, with its 95 % interval where there is one."""
    intervals = _mapping(job.result.get("intervals"))
    named = {name: f"{value:.6g}{_interval(intervals.get(name))}" for name, value in metrics.items()}
    if job.kind is JobKind.EVALUATE and job.result and IMAGE_AUROC not in metrics:
        named = {IMAGE_AUROC: NO_DEFECTS, **named}
    if point := operating_words(job):
        named["threshold"] = point
    named |= _observed(job)
    if room := room_words(metrics):
        named["validation"] = room
    if rungs := rung_words(job):
        named["rungs"] = rungs
    if isinstance(images := job.result.get("images"), int):
        named["test images" if job.kind is JobKind.EVALUATE else "images"] = str(images)
    if isinstance(took := job.result.get("ms_per_image"), int | float):
        named["ms per image"] = f"{took:.4g}"
    if check := leak_check_of(job):
        named["leak check"] = LEAK[check.passed] + ("" if check.passed else f": {check.detail}")
    return named


def room_words(metrics: Mapping[str, float]) -> str:
    """Say where the validation images can tell no more: all pairs ranked right, or some of equal scores."""
    said = []
    if metrics.get("validation/saturated") == 1.0:
        said.append("saturated: every pair is ranked right, so a better detector could not show it")
    if (ties := metrics.get("validation/ties", 0.0)) > 0.0:
        said.append(f"{100 * ties:.3g} % of pairs are ties, which count half")
    return "; ".join(said)


def _observed(job: Job) -> dict[str, str]:
    """Return how often the threshold was right on the test images."""
    seen = observed_of(job)
    if seen is None:
        return {}
    rows = {"false alarms": seen.false_alarms, "found": seen.found}
    named = {name: share.words for name, share in rows.items() if share is not None}
    rate, alarms = _mapping(job.result.get("operating_point")).get("rate"), seen.false_alarms
    if alarms is not None and isinstance(rate, int | float) and alarms.low > rate:
        named["false alarms"] += "; more than certified: good test images may be unlike those held out"
    return named


def short(metric: str, value: float) -> str:
    """Return a measure in twelve characters: "AUROC 0.9413"."""
    name = metric.rpartition("/")[2]
    if name == "latency_ms":
        return f"{value:.4g} ms"
    found = SHORT.get(name, name)
    return f"{found} {value:.{max(2, 9 - len(found))}f}"


def rung_words(job: Job) -> str:
    """Return what a trial's first measure was estimated at, rung by rung; "" of a job without rungs."""
    told = job.result.get("rungs")
    rungs = told if isinstance(told, list) else rungs_of(job.progress.metrics)
    return " ".join(f"{each:.4f}" for each in rungs if isinstance(each, int | float))


def headlines(job: Job, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the measures of an evaluation that a person wants first, by the names people use."""
    intervals = _mapping(job.result.get("intervals"))
    found = {
        words: f"{metrics[name]:.4f}{_interval(intervals.get(name), '95 % ')}"
        for name, words in HEADLINES.items()
        if name in metrics
    }
    if IMAGE_AUROC not in metrics:
        found = {HEADLINES[IMAGE_AUROC]: NO_DEFECTS, **found}
    if point := operating_words(job):
        found["threshold"] = point
    found |= _observed(job)
    if (check := leak_check_of(job)) and check.passed is False:
        found["leak check"] = f"{LEAK[False]}: {check.detail}"
    return found


def operating_words(job: Job) -> str:
    """Return the threshold in use and what is known of it; "" where none was calibrated."""
    point = _mapping(job.result.get("operating_point"))
    threshold, rate, normals = (point.get(name) for name in ("threshold", "rate", "normals"))
    if not isinstance(threshold, int | float):
        return ""
    words = f"{threshold:.6g}"
    if isinstance(rate, int | float) and point.get("certified") is True:
        words += f"  at most {100 * rate:.3g} % false alarms, by {normals} normal images"
    return words


def defect_rows(job: Job) -> list[tuple[str, ...]]:
    """Return a row of measures for each kind of defect."""
    found, seen = _mapping(job.result.get("defects")), observed_of(job)
    shares = seen.defects if seen is not None else {}
    return [
        (
            defect,
            *(_number(_mapping(of_defect).get(name)) for name in DEFECT_COLUMNS.values()),
            f"{shares[defect].count} of {shares[defect].images}" if defect in shares else "-",
        )
        for defect, of_defect in sorted(found.items())
    ]


def _interval(ends: Json, label: str = "") -> str:
    if isinstance(ends, list) and len(ends) == 2:
        return f"  {label}[{_number(ends[0])}, {_number(ends[1])}]"
    return ""


def _number(value: Json) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
