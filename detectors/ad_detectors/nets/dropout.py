"""Dropout (Srivastava et al. 2014) whose choice is the same on every processor, and cheap to draw.

torch draws a generator's number for each element on one processor and leaves it to a vendor's library on
another. Here a number decides about four elements, and a byte of each is all that is kept for the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BITS = 16  # for each element: so the share that is dropped is a multiple of 2^-16
LEVELS = 2**BITS


def kept_at_random(shape: Sequence[int], dropped: float, device: torch.device) -> Tensor:
    """Draw from torch's generator which elements stay: bool (B, C, H, W), channels last."""
    batch, channels, height, width = shape
    count = batch * channels * height * width
    words = torch.empty(-(-count * BITS // 64), dtype=torch.int64, device=device)
    words.random_(-(2**63), None)
    kept: Tensor = words.view(torch.int16)[:count] >= round(dropped * LEVELS) - LEVELS // 2
    return kept.view(batch, height, width, channels).permute(0, 3, 1, 2)


def dropout(x: Tensor, kept: Tensor, dropped: float) -> Tensor:
    """Return x with zeros where it is not kept, and the rest as much larger as makes the mean stay."""
    share = 1.0 - round(dropped * LEVELS) / LEVELS
    return x * kept.to(x.dtype).div_(share)
