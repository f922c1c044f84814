"""Exact measures of anomaly maps against masks, for more pixels than fit in memory.

Per-region overlap (Bergmann et al., "Uninformed Students", CVPR 2020, and "The MVTec Anomaly Detection
Dataset", IJCV 2021): at each threshold, the share of each defective region that is flagged,
averaged over the regions, against the share of all normal pixels that are flagged, also those around a
defect. AUPRO is the area under that curve up to a false-positive rate, divided by that rate, so that 1 is
perfect. Here every distinct score is a threshold, the curve is interpolated linearly at the limit, and
regions are connected through edges or corners, within one mask.

anomalib's AUPRO (2.7) means the same, and adds up in 32-bit floats with all pixels in memory. adeval (1.1)
counts scores in 1000 equal steps between bounds known beforehand. torchmetrics (1.9) has no AUPRO; its
BinaryAUROC and BinaryAveragePrecision without `thresholds` mean what is meant here, but squash scores outside
0..1, which makes ties, and add up in 32-bit floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ad_detectors.errors import NotFinite
from ad_detectors.metrics.curve import Curve, PixelMeasures, Steps
from ad_detectors.metrics.ordered import floats, ordered
from ad_detectors.metrics.regions import regions
from ad_detectors.metrics.runs import LENGTH, Runs
from ad_detectors.metrics.spool import BUDGET, Spool

LIMITS = (0.3, 0.05)
_SHIFT = np.uint64(32)
_REGION = np.uint64((1 << 32) - 1)
_KEYS = 1 << 32


class PixelRanking:
    """The pixels of pictures whose defects are known, added picture by picture and measured at the end.

    Four bytes are kept per normal pixel and eight per defective one: in memory up to `budget` bytes, beyond
    it in a temporary file in `folder`. Beside these, measuring takes some `16 * length` bytes.
    """

    def __init__(self, budget: int = BUDGET, folder: Path | None = None, length: int = LENGTH) -> None:
        self._spool = Spool(budget, folder)
        self._length = length
        self._normal = Runs(self._spool, length)  # uint32: ordered scores
        self._defective = Runs(self._spool, length // 2)  # uint64: ordered score, then region
        self._sizes: list[NDArray[np.int64]] = []  # pixels of each region
        self._regions = 0
        self._pictures = 0

    @property
    def regions(self) -> int:
        """Return how many defective regions there are so far."""
        return self._regions

    @property
    def spilled(self) -> int:
        """Return how many bytes lie in a file."""
        return self._spool.spilled

    def add(self, maps: ArrayLike, masks: ArrayLike, names: Sequence[str] | None = None) -> None:
        """Add pictures: maps (B, H, W) of 32-bit floats and binary masks of that shape.

        Raises NotFinite or ValueError naming the picture, by its place if there are no names.
        """
        values, drawn = np.asarray(maps), np.asarray(masks)
        if values.ndim == 2:
            values = values[None]
        if drawn.ndim == 2:
            drawn = drawn[None]
        if len(values) != len(drawn) or (names is not None and len(names) != len(values)):
            raise ValueError(
                f"there are {len(values)} maps but {len(drawn)} masks; give one for each picture"
            )
        for index in range(len(values)):
            name = names[index] if names is not None else f"picture {self._pictures}"
            self._add(*_checked(values[index], drawn[index], name))

    def fork(self) -> PixelRanking:
        """Return another with the same pictures, to be added to on its own; what both hold is kept once."""
        other = PixelRanking(0, None, self._length)
        other._spool = self._spool
        other._normal, other._defective = self._normal.fork(), self._defective.fork()
        other._sizes, other._regions = list(self._sizes), self._regions
        other._pictures = self._pictures
        return other

    def measures(self, limits: Sequence[float] = LIMITS) -> PixelMeasures:
        """Measure everything added so far; raise ValueError for a limit outside (0, 1]."""
        for limit in limits:
            if not 0 < limit <= 1:
                raise ValueError(f"a false-positive rate of {limit} is no limit; give one above 0, at most 1")
        curve = Curve(self._normal.total, self._defective.total, self._regions, limits)
        if self._defective.total:
            shares = 1 / np.concatenate(self._sizes)
            for low, high in self._ranges():
                normal = self._normal.between(low, high)
                curve.fall(self._steps(low, high, normal, shares), sum(map(len, normal)))
                self._spool.release()
        return curve.measures()

    def quantiles(self, above: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return scores that about these shares of all normal pixels exceed; none without such pixels."""
        return _at(np.sort(self._normal.sample(max(1, self._normal.total >> 20))), above)

    def defective_quantiles(self, above: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return scores that about these shares of all defective pixels exceed; none without such pixels."""
        sample = self._defective.sample(max(1, self._defective.total >> 20))
        keys = np.sort((sample.astype(np.uint64) >> _SHIFT).astype(np.uint32))
        return _at(keys, above)

    def _add(self, values: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        keys = ordered(values)
        of_pixel, sizes = regions(mask)
        if len(sizes):
            place = of_pixel.astype(np.uint64) + np.uint64(self._regions)
            self._defective.add((keys[mask].astype(np.uint64) << _SHIFT) | place)
            self._normal.add(keys[~mask])
            self._sizes.append(sizes)
            self._regions += len(sizes)
        else:
            self._normal.add(keys.ravel())
        self._pictures += 1

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Return ranges of ordered scores, highest first; none but that of a single score holds very many."""
        every = max(1, self._length // 64)
        marks = np.concatenate(
            [
                self._normal.sample(every).astype(np.int64),
                (self._defective.sample(every).astype(np.uint64) >> _SHIFT).astype(np.int64),
            ]
        )
        marks.sort()
        cuts = marks[::32]
        heavy = cuts[1:][cuts[1:] == cuts[:-1]]  # a score of very many pixels has a range of its own
        edges = np.unique(np.concatenate([[0], cuts, heavy + 1, [_KEYS]]))[::-1].tolist()
        return zip(edges[1:], edges[:-1], strict=True)

    def _steps(
        self, low: int, high: int, normal: list[NDArray[np.uint32]], shares: NDArray[np.float64]
    ) -> Steps:
        parts = self._defective.between(low << 32, high << 32)
        if high - low == 1:
            keys, counts, overlap = _tied(low, parts, shares)
        else:
            keys, counts, overlap = _distinct(parts, shares)
        total = sum(map(len, normal))
        if len(normal) > 1 and len(keys) * len(normal) > total >> 4:
            normal = [np.concatenate(normal)]  # else it is quicker to look the few scores up in each
            normal[0].sort()
        below = np.zeros(len(keys), np.int64)
        not_above = np.zeros(len(keys), np.int64)
        for run in normal:
            below += np.searchsorted(run, keys, side="left")
            not_above += np.searchsorted(run, keys, side="right")
        back = slice(None, None, -1)
        return Steps(counts[back], overlap[back], total - not_above[back], total - below[back])


def pixel_measures(maps: ArrayLike, masks: ArrayLike, limits: Sequence[float] = LIMITS) -> PixelMeasures:
    """Measure maps (N, H, W) against masks at once; see PixelRanking."""
    ranking = PixelRanking()
    ranking.add(maps, masks)
    return ranking.measures(limits)


def aupro(maps: ArrayLike, masks: ArrayLike, limit: float = 0.3) -> float | None:
    """Return the area under the per-region overlap up to a false-positive rate."""
    return pixel_measures(maps, masks, (limit,)).aupro[limit]


def _at(keys: NDArray[np.uint32], above: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the scores that these shares of sorted keys exceed."""
    if not len(keys):
        return np.zeros(0, np.float32)
    places = np.clip(((1 - above) * len(keys)).astype(np.int64), 0, len(keys) - 1)
    return floats(keys[places].astype(np.uint32))


def _checked(
    values: NDArray[np.generic], drawn: NDArray[np.generic], name: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if values.ndim != 2 or values.shape != drawn.shape:
        raise ValueError(f"the map of {name} has the shape {values.shape} but its mask {drawn.shape}")
    if not np.isfinite(values).all():
        raise NotFinite(f"the map of {name} holds what is infinite or not a number, which ranks nowhere")
    with np.errstate(over="ignore"):
        scores = np.ascontiguousarray(values, dtype=np.float32)
    if scores.dtype != values.dtype and not np.array_equal(scores, values):
        raise ValueError(
            f"the map of {name} is of {values.dtype}; round it to 32-bit floats, of which we rank"
        )
    if drawn.dtype == np.bool_:
        return scores, drawn.astype(np.bool_, copy=False)
    mask = drawn != 0
    if mask.any() and not (drawn[mask] == drawn[mask][0]).all():
        raise ValueError(f"the mask of {name} has more than two values; make it binary")
    return scores, mask


def _distinct(
    parts: list[NDArray[np.uint64]], shares: NDArray[np.float64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float64]]:
    """Return the distinct scores, lowest first, of how many defective pixels each is, and their shares."""
    packed = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
    keys = (packed >> _SHIFT).astype(np.uint32)
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.intp)
    counts = np.diff(np.append(first, len(keys)))
    share = shares[(packed & _REGION).astype(np.intp)]
    return keys[first], counts, np.add.reduceat(share, first) if len(first) else share


def _tied(
    key: int, parts: list[NDArray[np.uint64]], shares: NDArray[np.float64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float64]]:
    """Do the same for a single score, however many pixels have it, without copying them all at once."""
    if not parts:
        return _distinct([], shares)
    overlap = sum(
        float(shares[(part[start : start + LENGTH // 16] & _REGION).astype(np.intp)].sum())
        for part in parts
        for start in range(0, len(part), LENGTH // 16)
    )
    return np.array([key], np.uint32), np.array([sum(map(len, parts))]), np.array([overlap])
