"""Structural similarity: how alike two pictures are in light, contrast and structure around each place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # pixels, as published
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, span: float) -> Tensor:  # (B, H, W)
    """Return the SSIM of pictures (B, C, H, W) at each place, the mean over the channels; 1 where they agree.

    Wang, Bovik, Sheikh and Simoncelli (2004), eq. 13, with their Gaussian window; borders are reflected.
    `span` is the distance between the darkest and the brightest value.
    """
    light, contrast = (K1 * span) ** 2, (K2 * span) ** 2
    mean_a, mean_b = _windowed(a), _windowed(b)
    square_a, square_b, both = mean_a.square(), mean_b.square(), mean_a * mean_b
    # Rounding may leave a variance just below zero, where the quotient would leave -1..1.
    spread = (_windowed(a.square()) - square_a).clamp(min=0.0)
    spread = spread + (_windowed(b.square()) - square_b).clamp(min=0.0)
    shared = _windowed(a * b) - both
    alike = (2.0 * both + light) * (2.0 * shared + contrast)
    return (alike / ((square_a + square_b + light) * (spread + contrast))).mean(dim=1)


def _windowed(x: Tensor) -> Tensor:
    places = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (places / SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, WINDOW)
    padded = F.pad(x, (WINDOW // 2,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel, groups=x.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=x.shape[1])
