"""Counts the pictures a fit reads, whatever detector it is: that is how images per second are known."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_detectors.api import Images, Labelled

if TYPE_CHECKING:
    from torch import Tensor


class Counted:
    """Images that know how many of them were read; a picture read twice counts twice."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._lock = threading.Lock()  # detectors read ahead in threads
        self.read = 0

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._images.size

    @property
    def paths(self) -> Sequence[str]:
        """Return the sorted paths, relative to the category's folder."""
        return self._images.paths

    @property
    def anomalous(self) -> Images | None:
        """Return the anomalous pictures beside them, uncounted; None: there are none."""
        return self._images.anomalous if isinstance(self._images, Labelled) else None

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: Sequence[int]) -> Tensor:  # uint8 (B, 3, H, W)
        """Return the pictures of these indices, and count them."""
        found = self._images.batch(indices)
        with self._lock:
            self.read += len(indices)
        return found
