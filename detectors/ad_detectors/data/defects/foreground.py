"""Where the object is, guessed from the border: a defect on an empty background would be no defect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

COARSE = 96  # pixels of the longer side on which the guess is made
LEAST_CONTRAST = 14.0  # grey levels
EVEN_BORDER = 16.0  # grey levels that nine tenths of a plain background's border stay within
SHARES = (0.02, 0.9)  # of the image that an object may cover


def foreground(image: NDArray[np.uint8]) -> NDArray[np.bool_]:  # (C, H, W) -> (H, W)
    """Return which pixels belong to the object; all of them where no object stands out from the border."""
    height, width = image.shape[1:]
    step = -(-max(height, width) // COARSE)
    small = image[:, ::step, ::step].astype(np.float32)
    border = np.concatenate([small[:, 0], small[:, -1], small[:, 1:-1, 0], small[:, 1:-1, -1]], axis=1)
    plain = np.median(border, axis=1)
    spread = float(np.quantile(np.abs(border - plain[:, None]).max(axis=0), 0.9))
    if spread > EVEN_BORDER:
        return np.ones((height, width), np.bool_)
    apart = np.abs(small - plain[:, None, None]).max(axis=0)
    # An object's shadow is fainter than the object: a third of the strongest contrast leaves it out.
    strongest = float(np.quantile(apart, 0.98))
    found = ndimage.uniform_filter(apart, 3) > max(LEAST_CONTRAST, 2.0 * spread, strongest / 3)
    found = ndimage.binary_fill_holes(found)
    if not SHARES[0] <= found.mean() <= SHARES[1]:
        return np.ones((height, width), np.bool_)
    return np.repeat(np.repeat(found, step, axis=0), step, axis=1)[:height, :width]


def point(ground: NDArray[np.bool_], random: np.random.Generator) -> tuple[int, int]:
    """Return (row, column) of a pixel of the object, each as likely as any other."""
    candidates = np.flatnonzero(ground)
    row, column = divmod(int(candidates[random.integers(len(candidates))]), ground.shape[1])
    return row, column
