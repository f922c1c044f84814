"""What detectors share that score, and rebuild, images so many at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Detector, Scores


class MicrobatchDetector(Detector):
    """A detector that says what it makes of one microbatch, and is asked about any number of images.

    Microbatches are always of one size, so that an image's score is the same to the bit whatever it comes
    with (`determinism.microbatched`).
    """

    microbatch: ClassVar[int] = determinism.MICROBATCH  # images
    # Whether two halves of a microbatch are computed at once on a CPU: then what is called for one must not
    # write to what both share.
    abreast: ClassVar[bool] = False

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        with torch.no_grad():
            found = self._microbatched(self._score_microbatch, images)
        return Scores(*found)

    @abstractmethod
    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return scores (B,) and, if there are any, maps (B, H, W) of uint8 images (B, 3, H, W), on the CPU.

        Raises StateError before a fit.
        """

    def _microbatched(self, fn: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor) -> tuple[Tensor, ...]:
        """Return what a function gives for each image, called with a microbatch at a time."""
        halves = self.abreast and self._device.type == "cpu"
        size, divisor = self.microbatch, self.batch_divisor
        return determinism.microbatched(fn, images, size, divisor=divisor, abreast=halves)


class RebuildingDetector(MicrobatchDetector):
    """One that compares images with what it makes of them, and can show that."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return what the detector makes of images, at their size; scores are by the distance from these."""
        with torch.no_grad():
            (rebuilt,) = self._microbatched(self._rebuild_microbatch, images)
        return rebuilt

    @abstractmethod
    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return uint8 pictures (B, 3, H, W) of uint8 images (B, 3, H, W); raise StateError before a fit."""
