"""Octaves whose wavelength is a whole number of pixels, made of square blocks of which many are alike.

At one depth the lattice falls onto itself when it is moved one wavelength to the right and one up, or six
along an axis. So there are only six kinds of squares a wavelength wide, by which lattice points their pixels
hear and how loudly. That is found out once for each kind; a square's noise is then a product of matrices: the
gradients of its points, which the seed decides, times what its pixels hear of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ad_detectors.diffusion.simplex import borders, cells
from ad_detectors.diffusion.simplex.cells import PERIOD, Heard
from ad_detectors.diffusion.simplex.permutations import Hashes

REPEAT = 6  # wavelengths after which the lattice repeats along each axis
FINE, WIDE = 4, 3  # with so many pixels a wavelength at most, squares are so many wavelengths wide: else one
BEFORE, REACHED = 8, 32  # points of a square at the origin lie within -BEFORE and REACHED - BEFORE


@dataclass(frozen=True)
class Plan:
    """What there is to know of an octave before its seed: K kinds of squares, B of each, with Q points."""

    size: tuple[int, int]
    side: int  # of a square, in pixels
    numbers: Tensor  # (K * B,) int64: which of the image's squares, row by row; the number of all for none
    points: Tensor  # (2, K, B, Q) int64: x * PERIOD + y, and z, of the points of each
    weights: Tensor  # (K, 3 Q, side * side) float32: what pixels hear of each component of their gradients
    apart: Tensor  # (A,) int64: pixels that hear other points than those at their place in other squares
    apart_points: Tensor  # (2, SLOTS, A) int64: which ones
    apart_weights: Tensor  # (SLOTS, A, 3) float32

    def sounding(self, seeds: Sequence[Hashes]) -> Tensor:
        """Return the noise (S, height * width) of seeds."""
        height, width = self.size
        result = torch.empty(len(seeds), height, width)
        with torch.autocast("cpu", enabled=False):
            for seed, image in zip(seeds, result, strict=True):
                self._sound(seed, image)
        return result.flatten(1)

    def _sound(self, seed: Hashes, image: Tensor) -> None:
        (height, width), side = self.size, self.side
        down, across = -(-height // side), -(-width // side)
        # Each seed has products of its own: in larger ones the last bit may be another.
        heard = seed.felt(*self.points).view(*self.points.shape[1:3], -1) @ self.weights
        squares = torch.empty(down * across + 1, side * side)
        squares.index_copy_(0, self.numbers, heard.flatten(0, 1))
        rows = squares[:-1].view(down, across, side, side).transpose(1, 2)
        image.copy_(rows.reshape(down * side, across * side)[:height, :width])
        if len(self.apart):
            heard = seed.felt(*self.apart_points).view_as(self.apart_weights).mul_(self.apart_weights)
            image.view(-1).index_copy_(0, self.apart, heard.sum((0, 2)))


def suit(size: tuple[int, int], wavelength: float, device: torch.device) -> bool:
    """Say whether an octave can be made of squares, and faster: a card's calls would cost more."""
    fits = wavelength >= 2.0 and wavelength**2 <= size[0] * size[1]
    return device.type == "cpu" and fits and float(wavelength).is_integer()


def plan(size: tuple[int, int], wavelength: int, t: float) -> Plan:
    """Find out what the pixels of an octave hear at the depth t, in pixels."""
    grid = _Grid(*size, wavelength, t)
    model = cells.heard(_places(grid.phases, grid.side, wavelength, grid.depth))
    mine, weights = _weights(model, len(grid.phases))
    squares = torch.arange(len(grid.kinds))
    counts = grid.kinds.bincount()
    numbers = torch.full((len(counts), int(counts.max())), len(squares))
    order = grid.kinds.argsort(stable=True)
    numbers[grid.kinds[order], squares - (counts.cumsum(0) - counts)[grid.kinds[order]]] = order
    moved = grid.moved[:, numbers.clamp(max=len(squares) - 1)]  # (3, K, B)
    x, y, z = (mine[:, :, None] + moved[..., None]).bitwise_and_(PERIOD - 1)
    apart, other = _apart(grid, model)
    return Plan(
        size,
        grid.side,
        numbers.flatten(),
        torch.stack([x * PERIOD + y, z]),
        weights,
        apart,
        torch.stack([other.rows, other.layers]),
        other.weights.permute(1, 2, 0).contiguous(),
    )


class _Grid:
    """How an image is laid out in squares: where they lie, of which kind they are, how far from their model.

    The model of a kind lies at (phase, 0), no deeper than the lattice repeats.
    """

    def __init__(self, height: int, width: int, wavelength: int, t: float) -> None:
        self.height, self.width, self.wavelength, self.t = height, width, wavelength, t
        wide = WIDE if wavelength <= FINE else 1  # wavelengths, as top, left and phases are
        self.side = wide * wavelength
        down, across = -(-height // self.side), -(-width // self.side)
        self.top = torch.arange(down).mul_(wide).repeat_interleave(across)
        self.left = torch.arange(across).mul_(wide).repeat(down)
        every = (self.top + self.left) % REPEAT
        self.phases = tuple(sorted(set(every.tolist())))
        self.kinds = torch.searchsorted(torch.tensor(self.phases), every)
        deep = int(t // (REPEAT * wavelength)) * REPEAT
        self.depth = t - deep * wavelength
        # What moves places by whole wavelengths moves points of the lattice by these coordinates.
        moved = torch.stack([self.left - every, self.top, torch.full_like(every, deep)])  # (3, B)
        self.moved = moved - moved.sum(0).div(REPEAT, rounding_mode="floor")


def _places(phases: Sequence[int], side: int, wavelength: int, depth: float) -> Tensor:
    """Return where the pixels of models lie, one after the other: float64 (3, N), in wavelengths."""
    along = torch.arange(side, dtype=torch.float64)
    x = (along + torch.tensor(phases)[:, None] * wavelength) / wavelength  # (phases, side)
    y = (along / wavelength).repeat_interleave(side).repeat(len(phases))
    return torch.stack([x.repeat(1, side).flatten(), y, torch.full_like(y, depth / wavelength)])


def _weights(model: Heard, kinds: int) -> tuple[Tensor, Tensor]:
    """Return the points (3, K, Q) that models hear, and what pixels hear of each (K, 3 Q, side * side)."""
    x, y, z = (
        # Near the origin coordinates are small: those at a period's end stand for negative ones.
        (each + BEFORE).bitwise_and_(PERIOD - 1).clamp_(max=REACHED - 1)
        for each in (model.rows.bitwise_right_shift(8), model.rows, model.layers)
    )
    count, most = model.rows.shape[1] // kinds, REACHED**3
    codes = x.mul_(REACHED).add_(y).mul_(REACHED).add_(z)
    codes.view(-1, kinds, count).add_(torch.arange(0, kinds * most, most)[:, None])
    loud = torch.zeros(kinds * most).scatter_add_(0, codes.flatten(), model.weights.abs().sum(0).flatten())
    kind, point = loud.view(kinds, most).nonzero(as_tuple=True)
    sizes = kind.bincount(minlength=kinds)
    number = torch.arange(len(kind)) - (sizes.cumsum(0) - sizes)[kind]
    points = torch.zeros(kinds, int(sizes.max()), dtype=torch.int64)
    points[kind, number] = point
    begins = torch.zeros(kinds * most, dtype=torch.int64)
    begins[kind * most + point] = (kind * points.shape[1] + number) * 3 * count
    cell = begins[codes].add_(torch.arange(count).repeat(kinds)).flatten()
    weights = torch.zeros(points.numel() * 3 * count)
    for axis in range(3):
        # What weighs nothing may stand for a point that another slot stands for, so all are added.
        weights.scatter_add_(0, cell + axis * count, model.weights[axis].flatten())
    found = torch.stack([points // REACHED**2, points // REACHED % REACHED, points % REACHED]) - BEFORE
    return found, weights.view(kinds, -1, count)


def _apart(grid: _Grid, model: Heard) -> tuple[Tensor, Heard]:
    """Return the pixels that hear other points than their models, and what they hear."""
    torn = _torn(grid.phases, grid.side, grid.wavelength, grid.depth)
    kind, pixel = torn.div(grid.side**2, rounding_mode="floor"), torn % grid.side**2
    square, which = (grid.kinds[:, None] == kind).nonzero(as_tuple=True)
    x = grid.left[square] * grid.wavelength + pixel[which] % grid.side
    y = grid.top[square] * grid.wavelength + pixel[which].div(grid.side, rounding_mode="floor")
    inside = (x < grid.width) & (y < grid.height)
    x, y, square, which = x[inside], y[inside], square[inside], which[inside]
    places = torch.stack([x, y, torch.zeros_like(x)]).double()
    places[2] = grid.t
    heard = cells.heard(places / grid.wavelength)
    expected = borders.sets(_some_of(model, torn))[which]
    odd = (borders.sets(heard, grid.moved[:, square]) != expected).nonzero().flatten()
    return (y * grid.width + x)[odd], _some_of(heard, odd)


@lru_cache(maxsize=2**12)
def _torn(phases: tuple[int, ...], side: int, wavelength: int, depth: float) -> Tensor:
    """Return which pixels of models may hear other points in other squares."""
    return borders.torn(_places(phases, side, wavelength, depth))


def _some_of(heard: Heard, which: Tensor) -> Heard:
    return Heard(heard.rows[:, which], heard.layers[:, which], heard.weights[:, :, which])
