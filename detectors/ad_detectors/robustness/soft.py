"""The highest value of a map, smoothed so that more than one place has a gradient."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-12


def smooth_maximum(maps: Tensor, soft: float) -> Tensor:  # (B,)
    """Return about the highest value of each map (B, H, W): T log(sum(exp(map / T))).

    T is the share `soft` of the highest value, and counts as a constant.
    """
    flat = maps.flatten(1)
    heat = (soft * flat.detach().amax(dim=1, keepdim=True)).clamp(min=LEAST)
    return (torch.logsumexp(flat / heat, dim=1, keepdim=True) * heat)[:, 0]
