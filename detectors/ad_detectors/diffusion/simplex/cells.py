"""Which lattice points a place of legacy OpenSimplex noise hears, and how loudly: the same for every seed.

Space is filled with tetrahedra and octahedra, two of the former and one of the latter in each skewed cube. A
place hears the corners of its solid and two more lattice points near it, chosen by where in the solid it
lies (K. Spencer, OpenSimplex, 2014, in the public domain). That choice leaves out points that would
contribute a ten-thousandth, so the sum over all points in reach would be another noise.

Conditions are computed in float64 and in the published order of rounding: on a regular grid many places lie
on the border between two choices. Choices are then numbers 0 and 1, which are quicker than branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors.diffusion.simplex.permutations import Hashes

STRETCH, SQUISH = -1.0 / 6.0, 1.0 / 3.0
REACH = 2.0  # square of the distance at which a lattice point falls silent
NORM = 103.0  # brings the noise into about -1..1
SLOTS = 8  # lattice points that a place hears at most
SLOTS_AT_ONCE = 2  # more would not stay in a processor's cache
PERIOD = 256  # after which the lattice's gradients repeat
Axes = tuple[Tensor, Tensor, Tensor]  # one number for each axis


@dataclass(frozen=True)
class Heard:
    """The lattice points that places hear."""

    rows: Tensor  # (SLOTS, N) int64: x * PERIOD + y of each point
    layers: Tensor  # (SLOTS, N) int64: z
    weights: Tensor  # (3, SLOTS, N) float32: what each component of a gradient is multiplied with

    def sounding(self, seeds: Sequence[Hashes]) -> Tensor:
        """Return the noise (S, N) of seeds at the places."""
        return torch.stack([self._sounding(each) for each in seeds])

    def _sounding(self, seed: Hashes) -> Tensor:
        total = torch.zeros(self.rows.shape[1], device=self.rows.device)
        for first in range(0, SLOTS, SLOTS_AT_ONCE):
            some = slice(first, first + SLOTS_AT_ONCE)
            place = seed.places(self.rows[some], self.layers[some])
            sound = seed.gradients[0].index_select(0, place).view(-1, len(total)).mul_(self.weights[0, some])
            for axis in (1, 2):
                component = seed.gradients[axis].index_select(0, place).view(-1, len(total))
                sound.add_(component.mul_(self.weights[axis, some]))
            total += sound.sum(0)
        return total


def heard(places: Tensor) -> Heard:
    """Return what places (3, N), float64, hear."""
    x, y, z = places
    stretched = places + (x + y + z) * STRETCH
    base = stretched.floor()
    inside = stretched - base
    from_origin = (places - (base + (base[0] + base[1] + base[2]) * SQUISH)).float()
    offsets, middle = _offsets(inside)
    apart = from_origin[:, None] - (offsets + (offsets[0] + offsets[1] + offsets[2]) * SQUISH)
    loud = (REACH - apart.square().sum(0)).clamp_(min=0.0).square_().square_()
    loud[6:] *= middle  # a tetrahedron has six
    points = offsets.long().add_(base.long()[:, None]).bitwise_and_(PERIOD - 1)
    return Heard(points[0] * PERIOD + points[1], points[2], apart.mul_(loud).div_(NORM))


def _offsets(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return offsets (3, SLOTS, N) from the cube's origin, and where (N,) the solid is the octahedron."""
    total = inside[0] + inside[1] + inside[2]
    high = (total >= 2.0) & (total > 1.0)
    middle = ((total > 1.0) & ~high).float()
    # The tetrahedron at (1, 1, 1) is that at the origin, seen from the other end.
    seen = inside * (1.0 - 2.0 * high)
    spare = torch.where(high, total - 3.0, 1.0 - total)
    mirrored, tetra = high.float(), 1.0 - middle
    of_tetra = _beside_a_tetrahedron(seen, spare)
    of_octa = _beside_an_octahedron(inside)
    offsets = torch.empty(3, SLOTS, inside.shape[1], device=inside.device)
    for axis in range(3):
        for corner in range(3):
            own = 1.0 if axis == corner else 0.0
            offsets[axis, corner] = own + (1.0 - 2.0 * own) * mirrored  # e, or 1 - e from the other end
            offsets[axis, 3 + corner] = (1.0 - own) * middle
        offsets[axis, 3] += tetra * mirrored  # the tetrahedron's tip
        for slot, extra in enumerate(of_tetra):
            offsets[axis, 4 + slot] += tetra * (mirrored + (1.0 - 2.0 * mirrored) * extra[axis])
        for slot, extra in enumerate(of_octa):
            offsets[axis, 6 + slot] = middle * extra[axis]
    return offsets, middle


def _beside_a_tetrahedron(inside: Tensor, spare: Tensor) -> tuple[Axes, Axes]:
    """Return the two points besides the corners of the tetrahedron at the origin.

    With the tip among the two closest corners they lie beyond the other one, e, which is the farthest along:
    e minus either other axis. Else beyond the edge of the two farthest: their sum, and that minus the third.
    """
    x, y, z = inside
    low, high = torch.minimum(x, y), torch.maximum(x, y)
    second = torch.maximum(low, torch.minimum(high, z))
    near = (spare > second).float()
    # Of equal numbers x comes first, and z before y.
    most_x = (x >= y) & (x >= z)
    most_z = ~most_x & (z >= y)
    most = most_x.float(), (~most_x & ~most_z).float(), most_z.float()
    least_z = z <= low
    least_x = ~least_z & (x < y)
    least = least_x.float(), (~least_z & ~least_x).float(), least_z.float()
    first: list[Tensor] = []
    last: list[Tensor] = []
    for axis in range(3):
        after, before = most[(axis + 2) % 3], most[(axis + 1) % 3]
        pair = 1.0 - least[axis]
        first.append(near * (most[axis] - after) + (1.0 - near) * pair)
        last.append(near * (most[axis] - before) + (1.0 - near) * (pair - least[axis]))
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def _beside_an_octahedron(inside: Tensor) -> tuple[Axes, Axes]:
    """Return the two points besides the corners of the octahedron.

    Its corners are three opposite pairs, e and 1 - e for each axis. Of each the closer one is taken, and of
    these the two closest. Both far from the origin, the points are (1, 1, 1) and twice the axis they share;
    both near it, the origin and 1 - 2 e of the axis neither lies on; else 1 - 2 e for the pair of the far one
    and twice the axis of the near one.
    """
    x, y, z = inside
    sums = (y + z, x + z, x + y)  # beyond 1 the far corner of an axis' pair is the closer one
    of_x, of_y, of_z = ((each - 1.0).abs() for each in sums)
    no_z = (of_z <= of_y) & (of_z < of_x)
    no_y = (of_z > of_y) & (of_y < of_x)
    left_out = (~no_z & ~no_y).float(), no_y.float(), no_z.float()
    is_far = [(each > 1.0).float() for each in sums]
    far = [(1.0 - out) * each for out, each in zip(left_out, is_far, strict=True)]
    near = [(1.0 - out) * (1.0 - each) for out, each in zip(left_out, is_far, strict=True)]
    count = far[0] + far[1] + far[2]
    both, none, mixed = ((count == number).float() for number in (2.0, 0.0, 1.0))
    first = [both + mixed * (1.0 - 2.0 * each) for each in far]
    last = [
        2.0 * both * out + none * (1.0 - 2.0 * out) + 2.0 * mixed * each
        for out, each in zip(left_out, near, strict=True)
    ]
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])
