"""Pictures as networks take and give them: uint8 outside, float32 in about -1..1 inside."""

from __future__ import annotations

import torch
from torch import Tensor


def normalised(images: Tensor) -> Tensor:
    """Return uint8 images, or float ones in 0..255, as float32 in -1..1."""
    return images.float() / 127.5 - 1.0


def shown_again(pictures: Tensor) -> Tensor:
    """Return pictures in about -1..1 as uint8 on the CPU, what lies beyond being cut off."""
    return ((pictures + 1.0) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)
