"""From which score on a model calls a picture anomalous, in JSON, and where that threshold comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ad_platform.models import Model
from ad_platform.records import Job
from ad_platform.specs import Json


@dataclass(frozen=True, kw_only=True)
class SourcedThreshold:
    """An operating point as JSON, if there is one, and where it comes from, or why there is none."""

    point: Mapping[str, Json] | None
    source: str


def of_model(model: Model) -> SourcedThreshold:
    """Return the operating point that a model's decision carries, or else its newest evaluation fixed.

    Only an evaluation on the model's own category does.
    """
    job, evaluation, decided = model.job, model.operating_job, model.operating
    assert job is not None  # a model in a folder has its own file
    if decided is not None:
        told = decided.to_json()
        if not decided.bounds_rate:
            return SourcedThreshold(point=told, source=decided.guarantee)
        return SourcedThreshold(point=told, source=by_calibration(told, f", evaluation {decided.evaluation}"))
    if evaluation is None:
        return SourcedThreshold(point=None, source=not_evaluated(job))
    flat = evaluation.result.get("operating_point")
    if not isinstance(flat, Mapping):
        return SourcedThreshold(point=None, source=not_calibrated(job, evaluation))
    return SourcedThreshold(point=flat, source=by_calibration(flat, f", evaluation {evaluation.id}"))


def by_hand(threshold: float, usual: SourcedThreshold) -> SourcedThreshold:
    """Return a threshold that somebody chose, with the map's usual one."""
    map_threshold = usual.point.get("map_threshold") if usual.point else None
    point: dict[str, Json] = {"threshold": threshold, "map_threshold": map_threshold}
    return SourcedThreshold(
        point={**point, "rate": 1.0, "normals": 0, "certified": False}, source="as given by --threshold"
    )


def by_calibration(point: Mapping[str, Json], named: str) -> str:
    """Say by how many images a threshold was calibrated, and which rate of false alarms they certify."""
    normals, rate = point.get("normals"), point.get("rate")
    images = f"{normals} calibration image{'s' * (normals != 1)}{named}"
    if point.get("certified") is not True or not isinstance(rate, int | float):
        return f"by {images}; its scores depend on each other, so that no rate is certified"
    return f"at most {100 * rate:.3g} % false alarms, by {images}"


def not_evaluated(job: Job) -> str:
    """Say that nobody evaluated a model, and what to do."""
    return f"job {job.id} was not evaluated on its own category: adctl submit evaluate {job.id}"


def not_calibrated(job: Job, evaluation: Job) -> str:
    """Say why an evaluation fixed no threshold."""
    if "operating_point" in evaluation.result:
        return f"nothing was held out to calibrate on (evaluation {evaluation.id})"
    return f"evaluation {evaluation.id} is by an older version: adctl submit evaluate {job.id}"
