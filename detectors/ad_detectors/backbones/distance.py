"""How far an image is from its reconstruction, place by place (DDAD, section 4.2, eq. 9 to 11)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.backbones.features import FeatureExtractor


def pixel_distance(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Return the mean absolute difference over the channels: (B, H, W) for images (B, C, H, W)."""
    return (rebuilt - images).abs().mean(dim=1)


def feature_distance(
    extractor: FeatureExtractor, images: Tensor, rebuilt: Tensor, strides: Sequence[int] | None = None
) -> Tensor:
    """Return 1 - cosine of locally averaged features, summed over layers, for images in -1..1: (B, H, W)."""
    size = (images.shape[-2], images.shape[-1])
    total = torch.zeros(len(images), 1, *size, device=images.device)
    both = (torch.cat([images, rebuilt]) + 1.0) / 2.0
    # Channels last is how the networks of timm run fastest, on a CPU as on CUDA.
    for features in extractor(both.contiguous(memory_format=torch.channels_last), strides):
        a, b = F.avg_pool2d(features, 3, 1, 1).chunk(2)
        near = F.cosine_similarity(a, b, dim=1)
        total = total + F.interpolate(1.0 - near[:, None], size, mode="bilinear", align_corners=True)
    return total[:, 0]
