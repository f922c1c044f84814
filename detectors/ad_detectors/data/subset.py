"""Some of a split's pictures, as a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_detectors.api import Images

if TYPE_CHECKING:
    from torch import Tensor


class Subset:
    """The pictures of a split that have these indices, in this order."""

    def __init__(self, data: Images, indices: Sequence[int]) -> None:
        self._data, self._indices = data, list(indices)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._data.size

    @property
    def paths(self) -> Sequence[str]:
        """Return their paths, relative to the category's folder."""
        every = self._data.paths
        return [every[index] for index in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices: uint8 (B, 3, H, W), RGB."""
        return self._data.batch([self._indices[index] for index in indices])
