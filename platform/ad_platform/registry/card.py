"""The model card: what a registered model is, how good, for what, and where it comes from; in Markdown."""

from collections.abc import Mapping, Sequence

from ad_platform.records import Job
from ad_platform.registry.release import Release
from ad_platform.results import result_of, selected_on
from ad_platform.specs import Json

NO_EVALUATION = "It was not evaluated on its own category, so nothing is known of how good it is."
LIMITS = (
    "It is meant for pictures like those that it was fitted to: the same part, camera, light, distance and "
    "resolution. Of anything else its scores mean nothing.",
    "It says that a picture differs from normal ones, not what the defect is, nor how bad.",
    "Its measures are of the test pictures alone. Kinds of defects that these do not show may be missed.",
    "A score has no unit and compares with scores of this model alone.",
    "When the parts or the pictures change, calibrate or fit anew; watch how many are called anomalous.",
)


def text(release: Release) -> str:
    """Return the card of a release."""
    parts = [
        f"# {release.champion.model}",
        _what(release),
        "## How good it is",
        *_measures(release),
        "## Threshold",
        _threshold(release.operating_point),
        "## Intended use and limits",
        "\n".join(f"- {line}" for line in LIMITS),
        "## Data",
        _data(release),
        "## Configuration",
        _configuration(release.job),
        "## Lineage",
        _lineage(release),
        "## Use",
        _use(release),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(release: Release) -> str:
    spec = release.job.spec
    preset = f" (preset {spec.preset})" if spec.preset else ""
    return (
        f"The visual anomaly detector **{spec.detector}**{preset}, fitted to normal pictures of "
        f"**{spec.dataset.dataset}/{spec.dataset.category}**. It gives each picture a score, the higher the "
        "more anomalous, a decision, and a map of where, if the detector makes one."
    )


def _measures(release: Release) -> list[str]:
    evaluation = release.evaluation
    if evaluation is None:
        return [NO_EVALUATION]
    metrics, intervals = result_of(evaluation).metrics, evaluation.result.get("intervals")
    known = intervals if isinstance(intervals, Mapping) else {}
    rows = [(name, f"{metrics[name]:.4f}", _interval(known.get(name))) for name in sorted(metrics)]
    chosen = selected_on(release.job)
    if chosen.startswith("test"):
        by = f"Its settings were **selected on {chosen}**: the measures on test pictures flatter it."
    elif chosen == "none":
        by = "Its settings were selected on: none. Nothing was tuned on the pictures below."
    else:
        by = f"Its settings were selected on: {chosen}."
    return [by, _table(("measure", "value", "95 % interval"), rows), *_defects(evaluation)]


def _defects(evaluation: Job) -> list[str]:
    """Return a table of the image AUROC of each kind of defect, where the evaluation has it."""
    defects = evaluation.result.get("defects")
    if not isinstance(defects, Mapping):
        return []
    rows = []
    for name, found in sorted(defects.items()):
        value = found.get("image_auroc") if isinstance(found, Mapping) else None
        rows.append((name, f"{value:.4f}" if isinstance(value, int | float) else "n/a"))
    return [_table(("defect", "image AUROC"), rows)] if rows else []


def _interval(ends: Json) -> str:
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return f"{ends[0]:.4f} to {ends[1]:.4f}"
    return ""


def _threshold(point: Mapping[str, Json] | None) -> str:
    value = point.get("threshold") if point else None
    if point is None or not isinstance(value, int | float):
        return "None: nothing was held out to calibrate on, so scores come without a decision."
    lines = [f"A picture is called anomalous when its score is greater than **{value:.6g}**."]
    if isinstance(on_map := point.get("map_threshold"), int | float):
        lines.append(f"A place of a map is coloured as anomalous above {on_map:.6g}.")
    rate, normals = point.get("rate"), point.get("normals")
    if point.get("certified") and isinstance(rate, int | float):
        lines.append(
            f"It was fixed by {normals} normal pictures that were held out: another normal picture exceeds "
            f"it with a probability of at most {100 * rate:.3g} %, as long as normal pictures keep coming "
            "from where those came from (split conformal prediction). Of misses nothing is guaranteed."
        )
    else:
        lines.append("It certifies no rate of false alarms.")
    return " ".join(lines)


def _data(release: Release) -> str:
    data = release.job.spec.dataset
    held = release.job.spec.holdout or "nothing"
    return (
        f"- category: {data.dataset}/{data.category}\n"
        f"- fingerprint of its pictures: `{data.fingerprint}`\n"
        f"- held out of training, in percent (validation/calibration): {held}"
    )


def _configuration(job: Job) -> str:
    rows = sorted(_flat("", job.spec.config))
    return _table(("setting", "value"), rows) if rows else "The detector's defaults."


def _lineage(release: Release) -> str:
    champion, job = release.champion, release.job
    hosts = sorted({str(each.facts["host"]) for each in release.attempts if each.facts.get("host")})
    lines = {
        "decision": f"{champion.alias}, revision {champion.revision}, by {champion.user}",
        "reason": champion.reason,
        "forced": "past the gates" if champion.forced else "",
        "job": f"`{job.id}`, seed {job.spec.seed}",
        "attempts": f"{len(release.attempts)}" + (f", on {', '.join(hosts)}" if hosts else ""),
        "evaluation": f"`{release.evaluation.id}`" if release.evaluation else "none",
        "computed with": _computed(release.computed),
        "code": ", ".join(f"{name} {value}" for name, value in sorted(job.code.items())),
        "weights": f"manifest `{result_of(job).manifest_sha256}`",
    }
    return "\n".join(f"- {name}: {value}" for name, value in lines.items() if value)


def _computed(facts: Mapping[str, Json]) -> str:
    names = ("device", "threads", "torch")
    return ", ".join(f"{name} {facts[name]}" for name in names if facts.get(name))


def _use(release: Release) -> str:
    name = f"{release.champion.model}@{release.champion.alias}"
    return (
        f'```python\nfrom ad_detectors import load\n\nload("models:/{name}").predict("part.png")\n```\n\n'
        f"```sh\nmlflow models serve -m models:/{name}\nadctl serve {name}\n```"
    )


def _flat(prefix: str, value: Mapping[str, Json]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            found += _flat(f"{prefix}{name}.", item)
        else:
            found.append((f"{prefix}{name}", f"`{item}`"))
    return found


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
