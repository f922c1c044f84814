"""A model's operating point: the threshold in use, how it was chosen, and what it gets wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from ad_platform import chances
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.records import Champion, Job
from ad_platform.registry.scores import ScoredImage, Scores
from ad_platform.specs import Json

FILE = "operating_point.json"  # beside a model's files, where whoever loads the folder looks for it
KEY = "operating_point"  # in a decision's evidence, and in an evaluation's result


class ChosenBy(StrEnum):
    """What a threshold was chosen by."""

    CALIBRATION = "calibration"  # the least rate that the calibration images certify
    FPR = "fpr"  # another rate of false alarms, by the same images
    RECALL = "recall"  # the share of anomalous test images that are to be found: by test labels
    VALUE = "value"  # a number that a person gave


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The thresholds in use: an image, or a place of a map, is anomalous when its value is greater."""

    threshold: float
    map_threshold: float | None
    rate: float  # the share of good images that may be called anomalous; 1.0 where nothing is known of it
    normals: int  # calibration images that fixed it; 0 of a threshold that they did not fix
    certified: bool  # whether those bound the rate
    by: ChosenBy = ChosenBy.CALIBRATION
    wanted: float | None = None  # the rate, recall or value that was asked for
    evaluation: str | None = None  # whose scores it was chosen by

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON; the detectors library reads its first five numbers from the same names."""
        return {**asdict(self), "by": self.by.value}

    @classmethod
    def from_json(cls, value: Json) -> Self | None:
        """Read what `to_json` or an evaluation wrote; None where that is no operating point."""
        if not isinstance(value, Mapping):
            return None
        threshold, rate, normals = (_number(value.get(name)) for name in ("threshold", "rate", "normals"))
        if threshold is None or rate is None or normals is None:
            return None
        by, evaluation = value.get("by"), value.get("evaluation")
        return cls(
            threshold=threshold,
            map_threshold=_number(value.get("map_threshold")),
            rate=rate,
            normals=int(normals),
            certified=value.get("certified") is True,
            by=ChosenBy(by) if by in set(ChosenBy) else ChosenBy.CALIBRATION,
            wanted=_number(value.get("wanted")),
            evaluation=evaluation if isinstance(evaluation, str) else None,
        )

    @property
    def bounds_rate(self) -> bool:
        """Whether calibration images fixed it, so that a rate of false alarms is claimed at all."""
        return self.normals > 0

    @property
    def guarantee(self) -> str:
        """Say what is known of false alarms on good images to come, and what is not."""
        if self.by is ChosenBy.RECALL:
            return "no guarantee: it was chosen by test labels, which flatters what is seen on these images"
        if self.by is ChosenBy.VALUE:
            return "no guarantee: it was set by hand"
        images = f"{self.normals} calibration image{'s' * (self.normals != 1)}"
        if not self.certified:
            return f"no guarantee: scores depend on each other, so {images} certify no rate"
        return f"at most {100 * self.rate:.3g} % false alarms, certified by {images}"


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How many of some images are judged wrong, and the 95 % interval of that share."""

    kind: str  # "good", or the kind of a defect
    wrong: int
    of: int

    @property
    def share(self) -> float:
        """Return the share; 0 of no images."""
        return self.wrong / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval of the share."""
        return chances.interval(self.wrong, self.of)

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "kind": self.kind,
            "wrong": self.wrong,
            "of": self.of,
            "share": self.share,
            "interval": [*self.interval],
        }


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an operating point gets wrong on the test images of an evaluation."""

    operating: OperatingPoint
    false_alarms: Errors
    misses: Errors  # of all defects
    by_defect: tuple[Errors, ...]


def calibrated_by(evaluation: Job) -> OperatingPoint | None:
    """Return the operating point that an evaluation fixed, if it had calibration images."""
    found = OperatingPoint.from_json(evaluation.result.get(KEY))
    if found is None:
        return None
    return OperatingPoint(**{**asdict(found), "by": ChosenBy.CALIBRATION, "evaluation": evaluation.id})


def of_decision(champion: Champion) -> OperatingPoint | None:
    """Return the operating point that a decision carries; one made by an older adctl carries none."""
    return OperatingPoint.from_json(champion.evidence.get(KEY))


def choose(scores: Scores, usual: OperatingPoint | None, by: ChosenBy, wanted: float) -> OperatingPoint:
    """Return the operating point for a wanted rate of false alarms, recall or value.

    Raises InvalidValue for what cannot be wanted, and for a rate that the calibration images do not certify;
    InvalidRequest where there are none, or no anomalous images.
    """
    match by:
        case ChosenBy.FPR:
            return _at_rate(scores, usual, wanted)
        case ChosenBy.RECALL:
            threshold = _at_recall(scores, wanted)
        case _:
            if not math.isfinite(wanted):
                raise InvalidValue(f"a threshold is a number, not {wanted}")
            threshold = wanted
    return OperatingPoint(
        threshold=threshold,
        map_threshold=_on_the_map(scores, usual, threshold),
        rate=1.0,
        normals=0,
        certified=False,
        by=by,
        wanted=wanted,
        evaluation=scores.evaluation,
    )


def preview(scores: Scores, operating: OperatingPoint) -> Preview:
    """Count what an operating point gets wrong on the test images."""
    by_defect = tuple(
        _missed(kind, [one for one in scores.anomalous if one.defect == kind], operating)
        for kind in scores.defects
    )
    alarms = sum(one.score > operating.threshold for one in scores.normal)
    return Preview(
        operating=operating,
        false_alarms=Errors(kind="good", wrong=alarms, of=len(scores.normal)),
        misses=_missed("all defects", scores.anomalous, operating),
        by_defect=by_defect,
    )


def _missed(kind: str, images: Sequence[ScoredImage], operating: OperatingPoint) -> Errors:
    missed = sum(one.score <= operating.threshold for one in images)
    return Errors(kind=kind, wrong=missed, of=len(images))


def _at_rate(scores: Scores, usual: OperatingPoint | None, rate: float) -> OperatingPoint:
    """Choose by split conformal prediction, as the detectors library does; a test compares both."""
    if not 0 < rate < 1:
        raise InvalidValue(f"a rate of false alarms lies between 0 and 1, not {rate:g}")
    normals = len(scores.calibration)
    if not normals:
        raise InvalidRequest(
            f"evaluation {scores.evaluation} has no calibration images, so that no rate can be "
            "certified; fit with --holdout 10/10, or choose by --recall or --value"
        )
    above = chances.allowed(normals, rate)
    if not above:
        raise InvalidValue(
            f"{normals} calibration image{'s' * (normals != 1)} certify no rate of false alarms below "
            f"{1 / (normals + 1):.4g} (1/{normals + 1}), and {rate:g} is less; ask for more, or hold more out"
        )
    rank = normals + 1 - above
    maxima = [one.highest for one in scores.calibration if one.highest is not None]
    mapped = len(maxima) == normals and (usual is None or usual.map_threshold is not None)
    return OperatingPoint(
        threshold=sorted(one.score for one in scores.calibration)[rank - 1],
        map_threshold=sorted(maxima)[rank - 1] if mapped else None,
        rate=rate,
        normals=normals,
        certified=usual is None or usual.certified,
        by=ChosenBy.FPR,
        wanted=rate,
        evaluation=scores.evaluation,
    )


def _at_recall(scores: Scores, recall: float) -> float:
    """Return the middle between the lowest score that must be found and the next one below it."""
    if not 0 < recall <= 1:
        raise InvalidValue(f"a recall lies above 0 and is at most 1, not {recall:g}")
    found = sorted((one.score for one in scores.anomalous), reverse=True)
    if not found:
        raise InvalidRequest(
            f"evaluation {scores.evaluation} scored no anomalous images; choose by --fpr or --value"
        )
    lowest = found[max(1, math.ceil(recall * len(found) - 1e-9)) - 1]
    below = [one.score for one in (*scores.normal, *scores.anomalous) if one.score < lowest]
    middle = (max(below) + lowest) / 2 if below else math.nextafter(lowest, -math.inf)
    return middle if middle < lowest else math.nextafter(lowest, -math.inf)


def _on_the_map(scores: Scores, usual: OperatingPoint | None, threshold: float) -> float | None:
    """Return the threshold on maps: that on scores where a score is its map's highest value."""
    judged = [*scores.normal, *scores.anomalous]
    if judged and all(one.highest == one.score for one in judged):
        return threshold
    return usual.map_threshold if usual is not None else None


def _number(value: Json) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]
