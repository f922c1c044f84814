"""What an exported file computes: pictures of any size in, scores, decisions and maps out."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.exporting.resizing import PillowResize

INPUT: Final = "images"
OUTPUTS: Final = ("score", "anomalous", "map")


class ScoringGraph(nn.Module):
    """A detector's module with the resizing before it, and the threshold and the pictures' size behind it."""

    threshold: Tensor

    def __init__(self, module: nn.Module, side: int, threshold: float, *, branching: bool = True) -> None:
        super().__init__()
        self.resize, self.module = PillowResize(side, branching=branching), module
        self.register_buffer("threshold", torch.tensor(rounded_down(threshold)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (B,) float32, whether they exceed the threshold (B,) bool, and maps (B, H, W).

        `images` are RGB, uint8 (B, H, W, 3), as Pillow and OpenCV (after BGR to RGB) give them.
        """
        pixels = images.permute(0, 3, 1, 2).float()
        scores, maps = self.module(self.resize(pixels))
        size = images.shape[1], images.shape[2]
        full = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        return scores, scores > self.threshold, full


def rounded_down(threshold: float) -> float:
    """Return the greatest float32 that is no greater: float32 scores above either are the same."""
    near = np.float32(threshold)
    if math.isfinite(near) and float(near) > threshold:
        near = np.nextafter(near, np.float32(-np.inf))
    return float(near)
