"""A pool of simplex fields from which a training draws: pieces of them, shifted, mirrored and turned over."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.simplex.fields import Octaves, fields

DEPTHS = 8  # how many times t the fields are of; those of one t are cheaper together
STEPS = 1000


class SimplexPool:
    """Fields half as large again as an image, made from a seed, of which every piece serves as noise.

    A piece, mirrored or with its sign changed, is as likely a field as any: gradients come in opposite pairs.
    So a pool of a few dozen fields has noise for hundreds of thousands of steps.
    """

    def __init__(self, seed: int, side: int, octaves: Octaves, count: int) -> None:
        self.side = side
        wide = side + side // 2
        generator = determinism.generator(seed, "pool")
        parts = []
        for first in range(0, count, max(1, count // DEPTHS)):
            number = min(max(1, count // DEPTHS), count - first)
            t = int(torch.randint(STEPS, (1,), generator=generator))
            seeds = torch.randint(-(2**62), 2**62, (number,), generator=generator).tolist()
            parts.append(fields(seeds, (wide, wide), t, octaves))
        self._fields = torch.cat(parts)  # (count, wide, wide)

    def drawn(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return pieces (B, C, side, side), each of another place; the generator is of the CPU."""
        count = shape[0] * shape[1]
        most = self._fields.shape[-1] - self.side
        high = torch.tensor([len(self._fields), most + 1, most + 1, 2, 2, 2, 2])
        drawn = torch.randint(2**31, (count, len(high)), generator=generator) % high
        pieces = [self._piece(*numbers) for numbers in drawn.tolist()]
        return torch.stack(pieces).view(*shape, self.side, self.side)

    def _piece(self, index: int, top: int, left: int, *turns: int) -> Tensor:
        piece = self._fields[index, top : top + self.side, left : left + self.side]
        upright, down, across, sign = turns
        piece = piece.flip([axis for axis, turned in enumerate((down, across)) if turned])
        return (piece if upright else piece.T) * (1.0 if sign else -1.0)
