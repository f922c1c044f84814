"""Which pictures a gallery shows: always the same ones, few, and the mistakes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from ad_detectors.evaluation.image_result import ImageResult

MOST = 24  # pictures in a gallery
MISTAKES = 6  # of each sort
GOOD = 4


class Outcome(StrEnum):
    """What came of a decision."""

    FALSE_ALARM = "false alarm"
    MISSED = "missed"
    FOUND = "found"
    PASSED = "passed"
    UNDECIDED = "undecided"  # without a threshold


@dataclass(frozen=True)
class Choice:
    """A picture of the test split to be shown."""

    index: int  # among the images of the evaluation
    result: ImageResult
    outcome: Outcome


def outcome_of(result: ImageResult, threshold: float | None) -> Outcome:
    """Return what came of calling an image anomalous when its score exceeds the threshold."""
    if threshold is None:
        return Outcome.UNDECIDED
    if result.score > threshold:
        return Outcome.FOUND if result.label else Outcome.FALSE_ALARM
    return Outcome.MISSED if result.label else Outcome.PASSED


def choose(images: Sequence[ImageResult], threshold: float | None) -> list[Choice]:
    """Return the worst mistakes, then of each defect and of the good ones some from lowest to highest score.

    The worst false alarm scores highest, the worst miss lowest. Defects take turns, so that with few places
    left each has one before any has two.
    """
    ranked = sorted(
        (Choice(index, each, outcome_of(each, threshold)) for index, each in enumerate(images)),
        key=lambda choice: (choice.result.score, choice.result.path),
    )
    alarms = [each for each in reversed(ranked) if each.outcome is Outcome.FALSE_ALARM][:MISTAKES]
    missed = [each for each in ranked if each.outcome is Outcome.MISSED][:MISTAKES]
    good = _spread([each for each in ranked if not each.result.label and each not in alarms], GOOD)
    places = MOST - len(alarms) - len(missed) - len(good)
    left = [each for each in ranked if each.result.label and each not in missed]
    return [*alarms, *missed, *_in_turns(left, places), *good]


def _in_turns(ranked: Sequence[Choice], places: int) -> list[Choice]:
    """Return as many as there are places, defect by defect, each spread over that defect's scores."""
    names = sorted({each.result.defect for each in ranked})
    of_each = {name: [each for each in ranked if each.result.defect == name] for name in names}
    granted = [
        name for turn in zip_longest(*(_names(of_each[name]) for name in names)) for name in turn if name
    ]
    return [each for name in names for each in _spread(of_each[name], granted[:places].count(name))]


def _names(choices: Sequence[Choice]) -> Iterator[str]:
    return (each.result.defect for each in choices)


def _spread(ranked: Sequence[Choice], count: int) -> list[Choice]:
    """Return some of a list at even distances, in order: one of them the middle, two both quarters, ..."""
    count = min(count, len(ranked))
    return [ranked[(2 * place + 1) * len(ranked) // (2 * count)] for place in range(count)]
