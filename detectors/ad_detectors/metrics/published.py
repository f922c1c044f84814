"""The per-region overlap as the published DDAD code computes it, to set our numbers beside printed ones.

It differs from `pixels.aupro` in three ways: 200 thresholds at equal steps from the smallest to the largest
score, after all were scaled to 0..1 in their own precision; points at or above the limit are dropped instead
of interpolated to; and the area is divided by the largest false-positive rate kept instead of the limit.
Masks may be soft there, as resizing makes them: only pixels of exactly 1 form regions, and what is below 1
counts as normal to the part that is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ad_detectors.errors import NotFinite
from ad_detectors.metrics.regions import regions

THRESHOLDS = 200


def pro_compat(
    maps: ArrayLike, masks: ArrayLike, limit: float = 0.3, thresholds: int = THRESHOLDS
) -> float | None:
    """Return the published area of maps (N, H, W) and masks; None where the published code would fail.

    That is without regions or normal pixels, with maps that are constant, or with no point but one below the
    limit. Raises ValueError for shapes that differ and NotFinite.
    """
    values, soft = np.asarray(maps), np.asarray(masks)
    if values.ndim != 3 or values.shape != soft.shape:
        raise ValueError(f"the maps have the shape {values.shape} but the masks {soft.shape}; want (N, H, W)")
    if not np.isfinite(values).all():
        raise NotFinite("a map holds what is infinite or not a number, which ranks nowhere")
    if not values.size or values.min() == values.max():
        return None
    values = (values - values.min()) / (values.max() - values.min())
    steps = _thresholds(values, thresholds)
    overlaps, false_pixels, normal = _flagged(values, soft.astype(np.float64), steps)
    if not len(overlaps) or not normal:
        return None
    rates = false_pixels / normal
    kept = rates < limit
    if kept.sum() < 2 or not rates[kept].max():
        return None
    # The thresholds rise, so the rates fall.
    x, y = rates[kept][::-1] / rates[kept].max(), overlaps.mean(0)[kept][::-1]
    return float(np.trapezoid(y, x))


def _thresholds(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return equal steps, in the precision of the maps."""
    low, high = values.min(), values.max()
    steps: NDArray[Any] = np.arange(low, high, (high - low) / count)
    return steps


def _flagged(
    values: NDArray[Any], soft: NDArray[np.float64], steps: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """Return each region's share above each threshold, the false positives there, and all that is normal."""
    overlaps: list[NDArray[np.float64]] = []
    false_pixels = np.zeros(len(steps), np.int64)
    for image, mask in zip(values, soft, strict=True):
        # A score is above as many of the thresholds as are smaller than it.
        above = np.searchsorted(steps, image, side="left")
        false_pixels += _survivors(above[mask < 1], len(steps))
        of_pixel, sizes = regions(mask == 1)
        in_regions = above[mask == 1]
        overlaps += [
            _survivors(in_regions[of_pixel == region], len(steps)) / size for region, size in enumerate(sizes)
        ]
    return np.array(overlaps).reshape(-1, len(steps)), false_pixels, float((1 - soft).sum())


def _survivors(above: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    """Return how many scores are above each threshold."""
    return np.cumsum(np.bincount(above, minlength=count + 1)[::-1])[::-1][1:]
