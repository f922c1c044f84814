"""Where pictures draw the line between calm and anomalous, and in which words they say why there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ad_detectors.evaluation.image_result import TEST, VALIDATION, ImageResult
from ad_detectors.evaluation.operating import OperatingPoint
from ad_detectors.evaluation.outcome import Evaluation


@dataclass(frozen=True)
class Thresholds:
    """What a score, and a place of a map, must exceed to be drawn as anomalous."""

    score: float | None  # None where nothing says what normal is
    map: float | None  # None without anomaly maps
    words: str  # what they are, in one line
    by_calibration: bool  # else they only show how the scores of the images at hand compare


def thresholds_of(evaluation: Evaluation) -> Thresholds:
    """Return the operating point, or where there is none what comes nearest, and say which it is."""
    if evaluation.operating is not None:
        point = evaluation.operating
        return Thresholds(point.threshold, point.map_threshold, words_of(point), True)
    for split, name in ((TEST, "test"), (VALIDATION, "validation")):
        normals = [
            each
            for each in (*evaluation.images, *evaluation.held_out)
            if each.split == split and not each.label
        ]
        if normals:
            words = f"no threshold (nothing was held out to calibrate on): the highest of {len(normals)} "
            return Thresholds(
                max(each.score for each in normals),
                _highest(normals),
                f"{words}normal {name} image{'s' * (len(normals) != 1)} stands in for it",
                False,
            )
    highest = _highest(evaluation.images)
    return Thresholds(
        None,
        None if highest is None else highest / 2,
        "no threshold (no normal images): half of the highest value of all maps stands in for it",
        False,
    )


def words_of(point: OperatingPoint) -> str:
    """Return in one line what an operating point is."""
    if not point.certified:
        return "threshold that certifies no rate of false alarms"
    plural = "s" * (point.normals != 1)
    by = f"threshold by {point.normals} calibration image{plural}"
    return f"{by}: at most {100 * point.rate:.3g} % false alarms"


def _highest(results: Sequence[ImageResult]) -> float | None:
    maxima = [each.map_max for each in results if each.map_max is not None]
    return max(maxima) if maxima else None
