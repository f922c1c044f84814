"""Pictures made up from whole numbers alone, so that they are the same to the bit on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WHITE = 255


class MemoryImages:
    """Pictures in memory that serve as a split."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels  # (N, 3, H, W) uint8

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self.pixels.shape[2], self.pixels.shape[3]

    @property
    def paths(self) -> list[str]:
        """Return names that sort as the pictures do."""
        return [f"train/good/{index:03d}.png" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices."""
        return self.pixels[list(indices)]


class WatchedImages(MemoryImages):
    """Remembers what it handed out, to tell whether somebody wrote into it."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__(pixels)
        self._given: list[tuple[list[int], Tensor]] = []

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices."""
        pictures = super().batch(indices)
        self._given.append((list(indices), pictures))
        return pictures

    def changed(self) -> list[str]:
        """Return the names of pictures that were written into after they were handed out."""
        return sorted(
            {
                self.paths[index]
                for indices, pictures in self._given
                for index, picture in zip(indices, pictures, strict=True)
                if not torch.equal(picture, self.pixels[index])
            }
        )


def pictures(count: int, size: int | tuple[int, int], seed: int = 0) -> Tensor:  # (count, 3, H, W) uint8
    """Return normal pictures: a disc that shifts and shades a little, on a slope, under a little noise."""
    height, width = (size, size) if isinstance(size, int) else size
    random = torch.Generator().manual_seed(seed)
    y = _line(height)[:, None].expand(height, width)
    x = _line(width)[None, :].expand(height, width)
    return torch.stack([_picture(y, x, random) for _ in range(count)])


def with_defect(images: Tensor) -> Tensor:
    """Return copies with a strong defect: a quarter-wide patch of another colour, off the centre."""
    height, width = images.shape[-2:]
    top, left = height // 3, width // 3
    spoiled = images.clone()
    patch = torch.tensor([255, 20, 230], dtype=torch.uint8).view(3, 1, 1)
    spoiled[:, :, top : top + max(2, height // 4), left : left + max(2, width // 4)] = patch
    return spoiled


def extremes(size: int) -> Tensor:  # (3, 3, size, size) uint8
    """Return pictures that no camera takes: all black, all white, and white noise."""
    black = torch.zeros(3, size, size, dtype=torch.uint8)
    noise = torch.randint(WHITE + 1, black.shape, generator=torch.Generator().manual_seed(1))
    return torch.stack([black, torch.full_like(black, WHITE), noise.to(torch.uint8)])


def _line(length: int) -> Tensor:
    """Return places from -1000 to 1000, the whole side, at the middles of the pixels."""
    return (2 * torch.arange(length) + 1 - length) * 1000 // length


def _picture(y: Tensor, x: Tensor, random: torch.Generator) -> Tensor:
    dx, dy, shade = (torch.randint(-50, 51, (3,), generator=random)).tolist()
    far = (x - dx) ** 2 + (y - dy) ** 2  # of a disc of radius 550
    soft = 2 * 550 * 2000 * 2 // min(y.shape)  # its edge is two pixels wide
    disc = ((550**2 - far) * 128 // soft + 128).clamp(0, 256)  # 256 within
    red = 90 + 20 * x // 1000 + 60 * disc // 256
    green = 80 + 15 * y // 1000 + 50 * disc // 256
    colours = torch.stack([red, green, 70 + 80 * disc // 256])
    # The sum of three even throws is close enough to a normal noise of 3 grey levels.
    noise = torch.randint(-3, 4, (3, *colours.shape), generator=random).sum(0)
    shown: Tensor = colours + 20 * shade // 100 + noise
    return shown.clamp(0, WHITE).to(torch.uint8)
