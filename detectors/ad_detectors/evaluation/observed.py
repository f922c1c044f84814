"""How often an operating point was right on the test split: counted, with the interval of each share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy.special import betaincinv

from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.operating import OperatingPoint

LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """So many of so many pictures, and where the probability behind it lies in 95 of 100 cases.

    The interval is exact (Clopper and Pearson, Biometrika, 1934): it holds at least so often, however few
    the pictures are.
    """

    count: int
    images: int
    rate: float
    low: float
    high: float

    def to_json(self) -> dict[str, int | float]:
        """Return it as plain numbers."""
        return {
            "count": self.count,
            "images": self.images,
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True)
class Observed:
    """What an operating point called anomalous in the test split."""

    false_alarms: Share | None  # of the good pictures; None if there are none
    found: Share | None  # of the anomalous ones
    defects: Mapping[str, Share] = field(default_factory=dict)  # of those of each defect

    def to_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "false_alarms": self.false_alarms.to_json() if self.false_alarms else None,
            "found": self.found.to_json() if self.found else None,
            "defects": {name: share.to_json() for name, share in self.defects.items()},
        }


def share(count: int, images: int) -> Share | None:
    """Return a share with its interval; None of no pictures."""
    if not images:
        return None
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(count, images - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, images - count, 1 - tail)) if count < images else 1.0
    return Share(count, images, count / images, low, high)


def observed(results: Sequence[ImageResult], point: OperatingPoint | None) -> Observed | None:
    """Count what an operating point calls anomalous among the pictures of the test split."""
    if point is None or not results:
        return None

    def those(chosen: Iterable[ImageResult]) -> Share | None:
        called = [each.score > point.threshold for each in chosen]
        return share(sum(called), len(called))

    names = sorted({each.defect for each in results if each.label})
    defects = {name: those(each for each in results if each.label and each.defect == name) for name in names}
    return Observed(
        false_alarms=those(each for each in results if not each.label),
        found=those(each for each in results if each.label),
        defects={name: found for name, found in defects.items() if found is not None},
    )
