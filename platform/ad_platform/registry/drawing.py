"""How much two models differ on the same images: image AUROC and its paired 95 % interval, without numpy.

Images are drawn anew, as many, with repetition, the same for both models; normal ones, and anomalous ones,
apart (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13). The intervals of a
kind of defect draw its own images. A client that decides has no numpy, and a decision is the same wherever
it is made.
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

DRAWS = 1000
LEVEL = 0.95
SEED = 0
ALL = ""  # the name under which all kinds of defects are measured together


@dataclass(frozen=True)
class Interval:
    """A value, and where it lies in 95 of 100 draws of the images."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Said:
    """What one model said of the images: scores in the order that both models share."""

    normal: Sequence[float]
    anomalous: Sequence[float]


def auroc(normal: Sequence[float], anomalous: Sequence[float]) -> float:
    """Return how often an anomalous score exceeds a normal one, ties half; both must have images."""
    order = sorted(normal)
    twice = sum(bisect_left(order, score) + bisect_right(order, score) for score in anomalous)
    return twice / (2 * len(order) * len(anomalous))


def differences(
    first: Said, second: Said, kinds: Sequence[str], *, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Interval]:
    """Return first minus second in image AUROC, of all anomalous images under ALL and of each kind of defect.

    `kinds` names the defect of each anomalous image. Both see the same draws, so that what is hard for both
    does not blur the difference: an interval above 0 says that the first is better on images like these.
    """
    groups = {ALL: list(range(len(kinds)))} | {
        kind: [place for place, own in enumerate(kinds) if own == kind] for kind in sorted(set(kinds))
    }
    sides = [_Side(first), _Side(second)]
    found: dict[str, list[float]] = {name: [] for name in groups}
    plain = [1] * len(first.normal)
    mine, other = (side.wins(plain) for side in sides)
    points = {name: _mean(mine, own) - _mean(other, own) for name, own in groups.items()}
    draw = random.Random(seed)  # noqa: S311 - the same images for everybody, not a secret
    places = range(len(plain))
    for _ in range(draws):
        often = [0] * len(plain)
        for place in draw.choices(places, k=len(plain)):
            often[place] += 1
        mine, other = (side.wins(often) for side in sides)
        for name, own in groups.items():
            drawn = draw.choices(own, k=len(own))
            found[name].append(_mean(mine, drawn) - _mean(other, drawn))
    tail = (1 - LEVEL) / 2
    return {
        name: Interval(points[name], quantile(values, tail), quantile(values, 1 - tail))
        for name, values in found.items()
    }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of values lies, on the line between the nearest two."""
    order = sorted(values)
    place = share * (len(order) - 1)
    below = math.floor(place)
    above = min(below + 1, len(order) - 1)
    return order[below] + (order[above] - order[below]) * (place - below)


class _Side:
    """One model's ranking: where each anomalous score stands among the normal ones."""

    def __init__(self, said: Said) -> None:
        self._order = sorted(range(len(said.normal)), key=lambda place: said.normal[place])
        ranked = [said.normal[place] for place in self._order]
        self._bounds = [(bisect_left(ranked, score), bisect_right(ranked, score)) for score in said.anomalous]
        self._pairs = 2 * len(ranked)

    def wins(self, often: Sequence[int]) -> list[float]:
        """Return the share of normal images that each anomalous one exceeds, each there so many times."""
        below = [0, *accumulate([often[place] for place in self._order])]
        return [(below[left] + below[right]) / self._pairs for left, right in self._bounds]


def _mean(values: Sequence[float], places: Sequence[int]) -> float:
    return math.fsum([values[place] for place in places]) / len(places)


def by_kind(normal: Sequence[float], anomalous: Sequence[float], kinds: Sequence[str]) -> Mapping[str, float]:
    """Return the image AUROC of each kind of defect against all normal images."""
    return {
        kind: auroc(normal, [score for score, own in zip(anomalous, kinds, strict=True) if own == kind])
        for kind in sorted(set(kinds))
    }
