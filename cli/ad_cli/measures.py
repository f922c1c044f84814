"""How the measures a job ended with are laid out: those that matter first, intervals beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ad_platform.records import Job
    from ad_platform.specs import Json

# What a person looks for first. The store may give names back in another order than they were written in.
HEADLINES = (
    "test/image_auroc",
    "test/pixel_auroc",
    "test/aupro_30",
    "validation/image_auroc",
    "validation/pixel_auroc",
)
DEFECT_COLUMNS = {
    "IMAGE AUROC": "image_auroc",
    "PIXEL AUROC": "pixel_auroc",
    "AUPRO 0.3": "aupro_30",
    "AUPRO 0.05": "aupro_05",
}


def in_order(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics with the headlines first, then those of each group by name."""
    rest = sorted(name for name in metrics if name not in HEADLINES)
    return {name: metrics[name] for name in (*HEADLINES, *rest) if name in metrics}


def measures(job: Job, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return each measure as text, with its 95 % interval where there is one."""
    intervals = _mapping(job.result.get("intervals"))
    named = {name: f"{value:.6g}{_interval(intervals.get(name))}" for name, value in metrics.items()}
    if isinstance(took := job.result.get("ms_per_image"), int | float):
        named["ms per image"] = f"{took:.4g}"
    return named


def defect_rows(job: Job) -> list[tuple[str, ...]]:
    """Return a row of measures for each kind of defect."""
    found = _mapping(job.result.get("defects"))
    return [
        (defect, *(_number(_mapping(of_defect).get(name)) for name in DEFECT_COLUMNS.values()))
        for defect, of_defect in sorted(found.items())
    ]


def _interval(ends: Json) -> str:
    if isinstance(ends, list) and len(ends) == 2:
        return f"  [{_number(ends[0])}, {_number(ends[1])}]"
    return ""


def _number(value: Json) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
