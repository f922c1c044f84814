"""Normal pictures, turned, and the same with a synthetic defect: drawn once for each number, and kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Images
from ad_detectors.data.defects import spoil
from ad_detectors.zoo.diffad.config import Config

MOST_KEPT = 512 * 2**20  # bytes of pixels; what goes beyond is made anew each time
MOST_TURNED = 90.0  # degrees, either way


@dataclass(frozen=True)
class Pair:
    """Pictures as they should be and as they are, and where they differ."""

    normal: Tensor  # (B, 3, S, S) uint8
    given: Tensor  # (B, 3, S, S) uint8
    masks: Tensor  # (B, S, S) bool


class Pairs:
    """A split of `pairs` times as many pictures as the data has; `batch` gives the normal ones.

    What a number stands for follows from the seed and the number alone.
    """

    def __init__(self, data: Images, config: Config, seed: int) -> None:
        self._data, self._config, self._seed = data, config, seed
        self._kept: dict[int, Pair] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._data.size

    @property
    def paths(self) -> Sequence[str]:
        """Return the paths of the pictures that the data has, again and again."""
        return list(self._data.paths) * self._config.pairs

    def __len__(self) -> int:
        return len(self._data) * self._config.pairs

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the normal pictures of these numbers: uint8 (B, 3, S, S)."""
        pictures = self._data.batch([number % len(self._data) for number in indices])
        turned = [self._turned(picture, number) for picture, number in zip(pictures, indices, strict=True)]
        return torch.stack(turned)

    def of(self, indices: Sequence[int]) -> Pair:
        """Return the pairs of these numbers."""
        found = [self._pair(number) for number in indices]
        normal, given, masks = ([getattr(each, name)[0] for each in found] for name in Pair.__annotations__)
        return Pair(torch.stack(normal), torch.stack(given), torch.stack(masks))

    def _pair(self, number: int) -> Pair:
        if (kept := self._kept.get(number)) is not None:
            return kept
        normal = self.batch([number])
        if self._chance("undamaged", number) < self._config.undamaged:
            pair = Pair(normal, normal, torch.zeros(1, *normal.shape[-2:], dtype=torch.bool))
        else:
            seed = determinism.derive(self._seed, "damage", number)
            spoiled = spoil(normal, seed, self._config.damage)
            pair = Pair(normal, spoiled.images, spoiled.masks)
        if (len(self._kept) + 1) * 7 * normal[0, 0].numel() <= MOST_KEPT:
            self._kept[number] = pair
        return pair

    def _turned(self, picture: Tensor, number: int) -> Tensor:
        if self._chance("turned", number) >= self._config.turned:
            return picture
        angle = math.radians(MOST_TURNED * (2.0 * self._chance("angle", number) - 1.0))
        return turned(picture, angle)

    def _chance(self, what: str, number: int) -> float:
        """Return a number in 0..1 that belongs to a pair."""
        return determinism.derive(self._seed, what, number) / 2**63


def turned(picture: Tensor, angle: float) -> Tensor:
    """Return a uint8 picture (3, S, S) turned by an angle, mirrored at the borders it leaves."""
    sine, cosine = math.sin(angle), math.cos(angle)
    matrix = torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]])
    grid = F.affine_grid(matrix, [1, *picture.shape], align_corners=False)
    found = F.grid_sample(
        picture[None].float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return found[0].round().clamp(0, 255).to(torch.uint8)
