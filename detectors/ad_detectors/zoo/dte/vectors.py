"""The vectors of images: patches of a pretrained network, or their mean, all standardised."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ad_detectors import determinism, maps
from ad_detectors.api import Images
from ad_detectors.backbones.patches import PatchFeatures
from ad_detectors.zoo.dte.config import Config

FLAT = 1e-6  # a number that varies less than this is left as it is


class Rows:
    """Vectors in memory that serve as the batches of a training."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows  # (N, D)
        self.size, self.paths = (1, 1), [str(number) for number in range(0)]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: list[int]) -> Tensor:
        """Return the vectors of these indices."""
        return self.rows[torch.as_tensor(indices, device=self.rows.device)]


def as_images(rows: Tensor) -> Images:
    """Return vectors as what a training reads."""
    return cast("Images", Rows(rows))


def of_images(features: PatchFeatures, images: Tensor, level: str) -> Tensor:  # (B, places, D)
    """Return the vectors of uint8 images (B, 3, S, S) on the features' device."""
    found: Tensor = features(images).flatten(1, 2)
    return found if level == "patch" else found.mean(dim=1, keepdim=True)


def to_learn_from(vectors: Tensor, config: Config, images: int, seed: int, first: int) -> Tensor:
    """Return the vectors of a batch (B, places, D) that are learnt from: (B, kept, D), drawn for each image.

    `first` is the number of the batch's first image among all of them.
    """
    kept = config.of_each_image(images)
    if kept == vectors.shape[1]:
        return vectors
    chosen = []
    for number, each in enumerate(vectors, start=first):
        order = torch.randperm(len(each), generator=determinism.generator(seed, "places", number))
        chosen.append(each[order[:kept].to(each.device)])
    return torch.stack(chosen)


def moments(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each number of vectors (N, D); a deviation of next to none counts as 1."""
    mean = vectors.mean(dim=0)
    deviation = (vectors - mean).square().mean(dim=0).sqrt()
    return mean, torch.where(deviation > FLAT, deviation, torch.ones_like(deviation))


def finished(times: Tensor, side: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Return scores (B,) and maps (B, side, side) of the patches' times (B, grid, grid)."""
    full = maps.blurred(maps.stretched(times, side, side), sigma)
    return full.amax(dim=(1, 2)), full
