"""What a kind of defect proposes: new pixels in a box of the image, and which of them count."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MARGIN = 4  # pixels around a defect, for whoever looks at its neighbourhood


@dataclass(frozen=True)
class Draft:
    """A defect before anybody has looked whether it can be seen."""

    box: tuple[slice, slice]  # rows and columns of the image
    pixels: NDArray[np.float32]  # (C, h, w) of the box
    region: NDArray[np.bool_]  # (h, w) of the box


def between(limits: tuple[float, float], random: np.random.Generator) -> float:
    """Return a number between the limits, of which halving and doubling are equally likely."""
    return math.exp(random.uniform(math.log(limits[0]), math.log(limits[1])))


def around(region: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the box of a region that has at least one pixel, with a margin."""
    first, second = (
        slice(max(0, int(along[0]) - MARGIN), int(along[-1]) + MARGIN + 1)
        for along in (np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0)))
    )
    return first, second
