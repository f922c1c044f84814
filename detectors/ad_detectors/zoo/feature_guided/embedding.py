"""What a pretrained network makes of an image as a whole: the vector that leads its reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.backbones import features as backbones
from ad_detectors.backbones import kept as kept_backbones
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.errors import StateError
from ad_detectors.zoo.feature_guided.config import Config

if TYPE_CHECKING:
    from ad_detectors.api import State

FLAT = 1e-6  # a number that varies less than this over normal images is left as it is
FARTHEST = 4.0  # deviations from the mean: what is farther tells of a defect, and is not told


class Embedding:
    """A frozen backbone, and how its vectors vary over normal images."""

    def __init__(self, config: Config, extractor: FeatureExtractor) -> None:
        self.config, self.extractor = config, extractor
        self.moments: tuple[Tensor, Tensor] | None = None  # mean and deviation, (D,) each

    def vectors(self, images: Tensor) -> Tensor:  # (B, D)
        """Return the vectors of uint8 images (B, 3, S, S) on the extractor's device."""
        shown = images.contiguous(memory_format=torch.channels_last).float() / 255.0
        # By itself CUDA convolves with ten bits of mantissa.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with exact:
            (found,) = self.extractor(shown, [self.config.embed_layer])
        return F.adaptive_avg_pool2d(found, self.config.embed_grid).flatten(1)

    def learn(self, vectors: Tensor) -> None:
        """Remember how the vectors (N, D) of normal images vary."""
        mean = vectors.mean(0)
        deviation = (vectors - mean).square().mean(0).sqrt()
        self.moments = mean, torch.where(deviation > FLAT, deviation, torch.ones_like(deviation))

    def conditions(self, vectors: Tensor) -> Tensor:
        """Return what a U-Net is told (B, D + 1): vectors in deviations from the mean, and that it is told.

        All zeros tell it nothing.
        """
        assert self.moments is not None
        mean, deviation = self.moments
        told = ((vectors - mean) / deviation).clamp(-FARTHEST, FARTHEST)
        return torch.cat([told, torch.ones_like(told[:, :1])], dim=1)

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self.extractor.to(device)
        if self.moments is not None:
            mean, deviation = self.moments
            self.moments = mean.to(device), deviation.to(device)

    def state(self) -> State:
        """Return backbone and moments."""
        assert self.moments is not None
        kept = kept_backbones.state_of(self.config.backbone, self.extractor)
        mean, deviation = (each.detach().to("cpu", copy=True) for each in self.moments)
        return kept | {"mean": mean, "deviation": deviation}


def size_of(config: Config) -> int:
    """Return how many numbers tell a U-Net of an image, `D + 1`; needs no weights."""
    with torch.device("meta"):
        extractor = backbones.empty(config.backbone, [config.embed_layer])
    return extractor.layers[0].channels * config.embed_grid**2 + 1


def loaded(config: Config) -> Embedding:
    """Return the embedding with pretrained weights; raise WeightsNotFound or ConfigError."""
    return Embedding(
        config, backbones.load(config.backbone, _layers(config), places=places_from_environment())
    )


def restored(config: Config, state: State) -> Embedding:
    """Return the embedding of a state whose keys have lost their stage; raise StateError."""
    extractor = kept_backbones.restored(config.backbone, _layers(config), state)
    mean, deviation = state.get("mean"), state.get("deviation")
    if not isinstance(mean, Tensor) or not isinstance(deviation, Tensor) or mean.shape != deviation.shape:
        raise StateError("this state lacks the mean or the deviation of its features")
    found = Embedding(config, extractor)
    found.moments = mean.clone(), deviation.clone()
    return found


def _layers(config: Config) -> list[int]:
    return sorted({config.embed_layer, *config.map_layers})
