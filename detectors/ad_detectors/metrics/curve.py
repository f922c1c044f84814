"""The measures of one ranking of pixels, gathered from its highest scores down, a range at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PixelMeasures:
    """How well anomaly maps mark defects; None where the pixels cannot tell."""

    auroc: float | None
    ap: float | None
    f1_max: float | None
    aupro: Mapping[float, float | None]  # by the limit of the false-positive rate


@dataclass(frozen=True)
class Steps:
    """Distinct scores of defective pixels, highest first: what flagging each, and all above it, adds."""

    defective: NDArray[np.int64]  # (S,) defective pixels of exactly this score
    overlap: NDArray[np.float64]  # (S,) the sum over those of 1 / pixels in their region
    above: NDArray[np.int64]  # (S,) normal pixels of the range with a higher score
    reached: NDArray[np.int64]  # (S,) normal pixels of the range with this score or a higher one


class Curve:
    """Sums up what is flagged as the threshold falls.

    Only scores of defective pixels matter as thresholds. Between two of them nothing but false positives is
    added: the curves run flat there, and neither the precision at a gain nor the best F1 can lie there. At a
    tie of normal and defective pixels the curves are straight lines, which is where half of a tied pair comes
    from in the AUROC.
    """

    def __init__(self, normal: int, defective: int, regions: int, limits: Sequence[float]) -> None:
        """Expect so many normal and defective pixels, and regions that the latter form."""
        self._normal, self._defective, self._regions = normal, defective, regions
        self._false = self._true = 0  # normal and defective pixels flagged so far
        self._lost_twice = 0  # pairs in the wrong order count 2, ties 1
        self._precision = self._f1 = 0.0
        self._overlap = 0.0
        self._reached = 0.0  # the false-positive rate at the last step
        self._area = dict.fromkeys(limits, 0.0)

    def fall(self, steps: Steps, normal: int) -> None:
        """Lower the threshold through the next range, which holds so many normal pixels."""
        if len(steps.defective):
            true = self._true + np.cumsum(steps.defective)
            false = self._false + steps.reached
            precision = true / (true + false)
            self._precision += float((precision * steps.defective).sum())
            self._f1 = max(self._f1, float((2 * true / (true + false + self._defective)).max()))
            pairs = steps.defective * (2 * self._false + steps.above + steps.reached)
            self._lost_twice += int(pairs.sum())
            if self._normal:
                self._sweep(steps)
            self._true = int(true[-1])
        self._false += normal

    def measures(self) -> PixelMeasures:
        """Return the measures of the whole ranking, once all of it was gone through."""
        normal, defective = self._normal, self._defective
        if not defective:
            return PixelMeasures(None, None, None, dict.fromkeys(self._area))
        pairs_twice = 2 * normal * defective
        return PixelMeasures(
            auroc=(pairs_twice - self._lost_twice) / pairs_twice if normal else None,
            ap=self._precision / defective,
            f1_max=self._f1,
            aupro={limit: self._normalised(limit) for limit in self._area},
        )

    def _sweep(self, steps: Steps) -> None:
        """Add the area under overlap against false-positive rate, up to each limit."""
        start = (self._false + steps.above) / self._normal
        end = (self._false + steps.reached) / self._normal
        high = (self._overlap + np.cumsum(steps.overlap)) / self._regions
        low = np.append(self._overlap / self._regions, high[:-1])
        behind = np.append(self._reached, end[:-1])
        slope = np.divide(high - low, end - start, out=np.zeros_like(low), where=end > start)
        for limit in self._area:
            flat = (np.minimum(start, limit) - np.minimum(behind, limit)) * low
            run = np.clip(end, None, limit) - np.minimum(start, limit)
            self._area[limit] += float((flat + run * (low + slope * run / 2)).sum())
        self._overlap += float(steps.overlap.sum())
        self._reached = float(end[-1])

    def _normalised(self, limit: float) -> float | None:
        if not self._normal:
            return None
        rest = max(0.0, limit - self._reached)  # every defective pixel is flagged from there on
        return min(1.0, (self._area[limit] + rest) / limit)
