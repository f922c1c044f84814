"""Pictures at the size a detector works at, whatever size they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_detectors.api import Images

if TYPE_CHECKING:
    from torch import Tensor


class ResizedImages:
    """A split whose pictures are resized as they are read; its files and their order stay."""

    def __init__(self, data: Images, size: tuple[int, int]) -> None:
        self._data, self._size = data, size

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._size

    @property
    def paths(self) -> Sequence[str]:
        """Return the sorted paths, relative to the category's folder."""
        return self._data.paths

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices: uint8 (B, 3, H, W), RGB."""
        return resized(self._data.batch(indices), self._size)


def at_size(data: Images, size: tuple[int, int]) -> Images:
    """Return a split whose pictures have this (height, width): itself if they have it already."""
    return data if tuple(data.size) == size else ResizedImages(data, size)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 images (B, 3, H, W) at another (height, width), on the CPU.

    Bilinear with antialiasing, on whole numbers: what Pillow does to a decoded file too, so a picture that is
    scored at its own size gives what it gave when it was decoded to the size of the training pictures.
    """
    import torch.nn.functional as F

    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images.cpu(), size, mode="bilinear", antialias=True, align_corners=False)
