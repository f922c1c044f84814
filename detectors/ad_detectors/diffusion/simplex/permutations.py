"""What a seed decides of OpenSimplex noise: a permutation, and so the gradient at each lattice point."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407  # of Knuth's 64-bit generator
SIZE = 256
SKIPPED = 3  # states before the first that is used
LONG, SHORT = 11.0, 4.0  # a gradient's component along its own axis, and the others


def permutations(seeds: Sequence[int]) -> NDArray[np.uint8]:  # (N, 256)
    """Return the permutation of each seed, a whole number of 64 bits: a shuffle by linear congruences."""
    factors, terms = _jumps()
    start = np.array([seed % 2**64 for seed in seeds], np.uint64)
    states = (start[:, None] * factors + terms).astype(np.int64)  # wraps around
    choices = np.arange(SIZE, 0, -1)  # what is left to choose from
    drawn = (states % choices + 31) % choices
    every = np.arange(len(start))
    source = np.tile(np.arange(SIZE, dtype=np.uint8), (len(start), 1))
    result = np.empty_like(source)
    for number, last in enumerate(range(SIZE - 1, -1, -1)):
        chosen = drawn[:, number]
        result[:, last] = source[every, chosen]
        source[every, chosen] = source[:, last]
    return result


class Hashes:
    """The gradients of all lattice points of one seed."""

    def __init__(self, permutation: Tensor) -> None:  # (SIZE,) uint8
        # The hash of x and y at x * SIZE + y: row x is the permutation from its own x on, and around.
        self.rows = permutation.repeat(2).unfold(0, SIZE, 1).index_select(0, permutation.int()).flatten()
        # At each place of the last hash, which is that of x and y with z added.
        self.by_place = _gradients().to(permutation.device)[permutation.long() % len(_gradients())]
        self.gradients = self.by_place.T.contiguous()  # (3, SIZE) float32

    def places(self, rows: Tensor, layers: Tensor) -> Tensor:
        """Return the places of points' gradients, flat; points are given as x * SIZE + y, and z."""
        return layers.flatten().add(self.rows.index_select(0, rows.flatten())).bitwise_and_(SIZE - 1)

    def felt(self, rows: Tensor, layers: Tensor) -> Tensor:
        """Return the gradients (P, 3) of points."""
        return self.by_place.index_select(0, self.places(rows, layers))


@cache
def _jumps() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return a and c such that the state after so many steps is a * seed + c, for those that are used."""
    factor, term = 1, 0
    found = []
    for _ in range(SKIPPED + SIZE):
        factor, term = factor * MULTIPLIER % 2**64, (term * MULTIPLIER + INCREMENT) % 2**64
        found.append((factor, term))
    factors, terms = np.array(found[SKIPPED:], np.uint64).T
    return factors, terms


@cache
def _gradients() -> Tensor:  # (24, 3)
    """Return the gradients: for each sign of z, then y, then x, one that is long along each axis."""
    signs = [(x, y, z) for z in (1, -1) for y in (1, -1) for x in (-1, 1)]
    rows = [
        [sign * (LONG if axis == long else SHORT) for axis, sign in enumerate(three)]
        for three in signs
        for long in range(3)
    ]
    return torch.tensor(rows)
