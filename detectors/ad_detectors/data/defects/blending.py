"""Kind "blend": a piece of the image grown into another place without a seam (NSA, arXiv 2109.15222).

Pasted pieces have edges that a network learns to look for. Here what is carried over are the piece's
differences between neighbours; the values follow from them and from what surrounds the place (Perez et al.
2003, eq. 7 to 9), and so fit it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ad_detectors.data.defects.draft import Draft
from ad_detectors.data.defects.foreground import point

SHARES = (0.06, 0.4)  # of the image's shorter side that a piece's sides take, as published for MVTec AD
SHAPE, SCALE = 2.0, 0.1  # of the gamma distribution that sides are drawn from, as published
ZOOM = (0.7, 1.3)
LEAST_SIDE = 6  # pixels


def blend(image: NDArray[np.uint8], ground: NDArray[np.bool_], random: np.random.Generator) -> Draft:
    """Return a rectangle into which a zoomed piece of the image has grown."""
    height, width = ground.shape
    sides = [_side(min(height, width), random) for _ in range(2)]
    box = tuple(
        _around(middle, side, length)
        for middle, side, length in zip(point(ground, random), sides, (height, width), strict=True)
    )
    own = image[:, *box].astype(np.float32)
    piece = _piece(image, ground, own.shape[1:], random)
    # Where the place itself varies more, its own differences stay: a scratch on a weave keeps the weave.
    grown = _grown(own, _mixed(own, piece))
    region = np.zeros(own.shape[1:], np.bool_)
    region[1:-1, 1:-1] = True
    return Draft((box[0], box[1]), np.clip(grown, 0, 255), region)


def _side(shorter: int, random: np.random.Generator) -> int:
    low, high = SHARES
    share = min(max(low + random.gamma(SHAPE, SCALE), low), high)
    return max(LEAST_SIDE, round(share * shorter))


def _around(middle: int, side: int, length: int) -> slice:
    """Return a slice of that many pixels around a place, and one more on each side, within the image."""
    wide = min(side + 2, length)
    first = min(max(0, middle - wide // 2), length - wide)
    return slice(first, first + wide)


def _piece(
    image: NDArray[np.uint8],
    ground: NDArray[np.bool_],
    shape: tuple[int, ...],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Return pixels (C, h, w) from around another point of the object, zoomed; mirrored at the border."""
    zoom = float(random.uniform(*ZOOM))
    rows, columns = (
        _mirrored(np.rint(middle + (np.arange(side) - side / 2) / zoom).astype(np.intp), length)
        for middle, side, length in zip(point(ground, random), shape, ground.shape, strict=True)
    )
    return image[:, rows[:, None], columns[None, :]].astype(np.float32)


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    folded = np.abs(index) % (2 * length)
    within: NDArray[np.intp] = np.minimum(folded, 2 * length - 1 - folded)
    return within


def _mixed(own: NDArray[np.float32], piece: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the divergence (C, h - 2, w - 2) of the stronger of both pictures' differences (eq. 12)."""
    total = np.zeros_like(own[:, 1:-1, 1:-1])
    for axis in (1, 2):
        first, second = (np.diff(picture, axis=axis) for picture in (own, piece))
        stronger = np.where(np.abs(second) >= np.abs(first), second, first)
        change = np.diff(stronger, axis=axis)
        total += change[:, :, 1:-1] if axis == 1 else change[:, 1:-1, :]
    return total


def _grown(own: NDArray[np.float32], divergence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture with that divergence inside and its own values at the border, exactly.

    Poisson's equation on a rectangle is diagonal in sines: no system has to be solved step by step.
    """
    right = divergence.astype(np.float64)
    right[:, 0] -= own[:, 0, 1:-1]
    right[:, -1] -= own[:, -1, 1:-1]
    right[:, :, 0] -= own[:, 1:-1, 0]
    right[:, :, -1] -= own[:, 1:-1, -1]
    height, width = right.shape[1:]
    of_rows, of_columns = (
        2.0 * np.cos(np.pi * np.arange(1, side + 1) / (side + 1)) - 2.0 for side in (height, width)
    )
    waves = fft.dstn(right, type=1, axes=(1, 2)) / (of_rows[:, None] + of_columns[None, :])
    result = own.copy()
    result[:, 1:-1, 1:-1] = fft.idstn(waves, type=1, axes=(1, 2))
    return result
