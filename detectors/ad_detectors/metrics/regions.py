"""The connected regions of a mask: what the per-region overlap is averaged over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EIGHT = np.ones((3, 3), dtype=np.int8)  # pixels that touch at a corner belong together


def regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the region of each defective pixel, row by row and counted from 0, and the regions' sizes."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    box: NDArray[Any] = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, _ = ndimage.label(box, EIGHT)
    of_pixel = (labels[box] - 1).astype(np.int32)
    return of_pixel, np.bincount(of_pixel)
