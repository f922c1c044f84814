"""Places on the border between two choices of lattice points, where rounding decides which are heard.

The choice leaves out points that would contribute a ten-thousandth, so either one may be another noise. On a
regular grid such places are many, but few of them would hear other points a little farther on.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations

import torch
from torch import Tensor

from ad_detectors.diffusion.simplex import cells
from ad_detectors.diffusion.simplex.cells import PERIOD, Heard

# Choices hang on whether these sums of stretched coordinates are beyond a whole number.
SUMS = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, -1, 0), (2, 1, 1)]
CLOSE = 1e-9  # to one: so close rounding may decide
DIRECTIONS, STEP = 32, 1e-8  # in which another choice is looked for, and how far
MIXERS = (-7046029254386353131, -4658895280553007687)  # odd numbers of 64 bits
SILENT = 1e-9  # of a weight: less is not heard in float32


def torn(places: Tensor) -> Tensor:  # (P,) int64
    """Return which of places (3, N), float64, lie where a little farther on others are heard."""
    even = _even(places)
    here = places[:, even]
    found = torch.stack([sets(cells.heard(here + step[:, None])) for step in _steps()])
    return even[(found != found[0]).any(0)]


def _even(places: Tensor) -> Tensor:
    stretched = places + places.sum(0) * cells.STRETCH
    sums = torch.tensor(sorted({each for one in SUMS for each in permutations(one)}), dtype=torch.float64)
    hung = sums @ stretched
    return ((hung - hung.round()).abs_() < CLOSE).any(0).nonzero().flatten()


@cache
def _steps() -> Tensor:  # (DIRECTIONS, 3)
    random = torch.Generator().manual_seed(0)
    steps = torch.randn(DIRECTIONS, 3, generator=random, dtype=torch.float64)
    return steps.mul_(STEP / steps.norm(dim=1, keepdim=True))


def sets(heard: Heard, back: Tensor | None = None) -> Tensor:  # (N,) int64
    """Return a number for the set of points each place hears, moved back by whole coordinates (3, N)."""
    axes = torch.stack([heard.rows.bitwise_right_shift(8), heard.rows, heard.layers])  # (3, SLOTS, N)
    if back is not None:
        axes.sub_(back[:, None])
    axes.bitwise_and_(PERIOD - 1)
    points = (axes[0] * PERIOD + axes[1]) * PERIOD + axes[2]
    # Numbers are mixed, so that sums of different points differ; they wrap around.
    mixed = (points + 1) * MIXERS[0]
    mixed = (mixed ^ (mixed >> 29)) * MIXERS[1]
    return mixed.mul_(heard.weights.abs().sum(0) > SILENT).sum(0)
