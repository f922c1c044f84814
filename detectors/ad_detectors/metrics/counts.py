"""Each picture's pixels counted on a shared grid of scores, so that pictures can be resampled cheaply.

The grid follows the ranking: so many thresholds stand at equal steps of the false-positive rate up to 0.05,
as many up to 0.3 and as many up to 1; and as many at equal steps of the recall, for precision. An area under
either curve found on it differs from the exact one by at most half of the widest step, divided by the limit,
which is GRID_ERROR: within a step the true curve lies between its ends. Where very many pixels share one
score, that score is a step of its own and the straight line is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ad_detectors.metrics.ordered import floats, ordered
from ad_detectors.metrics.pixels import PixelRanking
from ad_detectors.metrics.regions import regions

STEPS = 700  # between each two of the rates 0, 0.05, 0.3 and 1
GRID_ERROR = max(0.05 / 0.05, 0.25 / 0.3, 0.7) / STEPS / 2


@dataclass(frozen=True)
class PixelCounts:
    """What is known of each picture whose defect is known, on T thresholds, from the highest scores down."""

    pictures: NDArray[np.intp]  # (K,) which pictures these are
    defective: NDArray[np.bool_]  # (K,) which of them are
    normal_pixels: NDArray[np.float32]  # (K, T) normal pixels in each step
    defective_pixels: NDArray[np.float32]  # (D, T) defective ones, for the defective pictures alone
    overlap: NDArray[np.float32]  # (D, T) the sum over those of 1 / pixels in their region
    regions: NDArray[np.float32]  # (D,)


def thresholds(ranking: PixelRanking) -> NDArray[np.float32]:
    """Return the grid for pictures that were added to a ranking: lowest first, each a step's lowest score."""
    rates = np.concatenate(
        [
            np.linspace(low, high, STEPS, endpoint=False)
            for low, high in ((0.0, 0.05), (0.05, 0.3), (0.3, 1.0))
        ]
    )
    recalls = np.linspace(0.0, 1.0, STEPS, endpoint=False)
    found = np.concatenate([ordered(ranking.quantiles(rates)), ordered(ranking.defective_quantiles(recalls))])
    marks, often = np.unique(found, return_counts=True)
    # A score of more pixels than a step holds is cut off from those above it too.
    return floats(np.unique(np.concatenate([marks, marks[often > 1] + np.uint32(1)])))


def count(
    pictures: Iterable[tuple[int, NDArray[np.float32], NDArray[np.bool_]]], grid: NDArray[np.float32]
) -> PixelCounts:
    """Count pictures, given as (which one, its map, its mask), on a grid."""
    which: list[int] = []
    defective: list[bool] = []
    normal_rows, defective_rows, overlap_rows, numbers = [], [], [], []
    for index, values, mask in pictures:
        of_pixel, sizes = regions(mask)
        which.append(index)
        defective.append(bool(len(sizes)))
        normal_rows.append(_histogram(values[~mask] if len(sizes) else values.ravel(), grid))
        if len(sizes):
            step = len(grid) - np.searchsorted(grid, values[mask], side="right")
            defective_rows.append(np.bincount(step, minlength=len(grid) + 1))
            overlap_rows.append(np.bincount(step, 1 / sizes[of_pixel], minlength=len(grid) + 1))
            numbers.append(len(sizes))
    return PixelCounts(
        np.array(which, np.intp),
        np.array(defective, np.bool_),
        _stacked(normal_rows, len(grid) + 1),
        _stacked(defective_rows, len(grid) + 1),
        _stacked(overlap_rows, len(grid) + 1),
        np.array(numbers, np.float32),
    )


def _histogram(values: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many values lie in each step, highest first; looking each up would be slower."""
    below = np.searchsorted(np.sort(values), grid)
    return np.diff(np.concatenate([[0], below, [len(values)]]))[::-1]


def _stacked(rows: Sequence[NDArray[Any]], width: int) -> NDArray[np.float32]:
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, width), np.float32)
