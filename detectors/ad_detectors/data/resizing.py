"""Pictures at the size a detector works at, whatever size they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_detectors.api import Images, Labelled

if TYPE_CHECKING:
    from torch import Tensor


class ResizedImages:
    """A split whose pictures are resized as they are read; its files and their order stay."""

    def __init__(self, data: Images, side: int) -> None:
        self._data, self._side = data, side

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._side, self._side

    @property
    def paths(self) -> Sequence[str]:
        """Return the sorted paths, relative to the category's folder."""
        return self._data.paths

    @property
    def anomalous(self) -> Images | None:
        """Return the anomalous pictures to learn from, at this size; None: there are none."""
        found = anomalous_of(self._data)
        return None if found is None else at_size(found, self._side)

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices: uint8 (B, 3, H, W), RGB."""
        from ad_detectors.maps import to_model_size

        return to_model_size(self._data.batch(indices), self._side)


def anomalous_of(data: Images) -> Images | None:
    """Return the labelled anomalous pictures beside normal ones; None where there are none."""
    found = data.anomalous if isinstance(data, Labelled) else None
    return found if found is not None and len(found) > 0 else None


def at_size(data: Images, side: int) -> Images:
    """Return a split whose pictures are side x side: itself if they are already."""
    return data if tuple(data.size) == (side, side) else ResizedImages(data, side)
