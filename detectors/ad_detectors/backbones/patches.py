"""Patch features: what a backbone makes of each place of an image, averaged over its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.backbones import features
from ad_detectors.backbones.features import FeatureExtractor, Layers
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.errors import StateError


class Settings(Protocol):
    """The settings that say what patch features are."""

    @property
    def backbone(self) -> str:
        """Return timm's name of it."""

    @property
    def layers(self) -> Layers:
        """Return which maps there are of each image."""

    @property
    def grid(self) -> int:
        """Return how many places a side of the grid has."""

    @property
    def neighbourhood(self) -> int:
        """Return the side of the square over which maps are averaged."""


class PatchFeatures(nn.Module):
    """Feature maps of several strides as one grid of vectors (PatchCore, section 3.1)."""

    def __init__(self, extractor: FeatureExtractor, grid: int, neighbourhood: int) -> None:
        """Put all maps on a grid of `grid` x `grid` places, after local means over neighbourhood^2 places."""
        super().__init__()
        self.extractor = extractor
        self.grid, self.neighbourhood = grid, neighbourhood

    @property
    def channels(self) -> int:
        """Return the length of a vector."""
        return sum(layer.channels for layer in self.extractor.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the vectors of uint8 images (B, 3, S, S): (B, grid, grid, channels) float32."""
        # Channels last is how the networks of timm run fastest, on a CPU as on CUDA.
        shown = images.contiguous(memory_format=torch.channels_last).float() / 255.0
        # By itself CUDA convolves with ten bits of mantissa, too few for distances small beside the features.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.autocast(images.device.type, enabled=False), exact:
            return self.embedded(shown)

    def embedded(self, images: Tensor) -> Tensor:
        """Return the vectors of images (B, 3, S, S) in 0..1: (B, grid, grid, channels) float32."""
        maps: Sequence[Tensor] = self.extractor(images)
        means = [F.avg_pool2d(each, self.neighbourhood, 1, self.neighbourhood // 2) for each in maps]
        return torch.cat([self._on_grid(each) for each in means], dim=1).permute(0, 2, 3, 1).contiguous()

    def scales(self, patches: Tensor, balance: float) -> Tensor:  # (channels,)
        """Return factors that bring the maps of all strides nearer to varying equally over (N, channels).

        With `balance` 1 they vary equally, with 0 factors are ones. The spread of a map is the root of the
        sum of its channels' variances, so its channels keep their proportions.
        """
        scales = torch.ones(self.channels, device=patches.device)
        first = 0
        for layer in self.extractor.layers:
            channels = slice(first, first + layer.channels)
            spread = float(patches[:, channels].var(dim=0, correction=0).sum().sqrt())
            if spread > 0.0:  # it is zero for one flat image
                scales[channels] = spread**-balance
            first += layer.channels
        return scales

    def digest(self) -> str:
        """Return a hash of the weights."""
        whole = hashlib.sha256()
        for name, tensor in sorted(self.extractor.state_dict().items()):
            whole.update(name.encode())
            whole.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return whole.hexdigest()

    def _on_grid(self, maps: Tensor) -> Tensor:
        if maps.shape[-1] > self.grid:
            return F.adaptive_avg_pool2d(maps, self.grid)
        if maps.shape[-1] < self.grid:
            return F.interpolate(maps, (self.grid, self.grid), mode="bilinear", align_corners=False)
        return maps


def loaded(config: Settings, begun_with: str = "") -> tuple[PatchFeatures, str]:
    """Return the patch features of a config with pretrained weights, and the digest of these.

    Raises StateError if a fit was begun with weights of another digest, else what `features.load` raises.
    """
    extractor = features.load(config.backbone, config.layers, places=places_from_environment())
    found = PatchFeatures(extractor, config.grid, config.neighbourhood)
    weights = found.digest()
    if begun_with not in ("", weights):
        raise StateError(f"this fit was begun with other weights of '{config.backbone}'; begin it anew")
    return found, weights
