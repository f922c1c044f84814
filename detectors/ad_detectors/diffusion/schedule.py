"""The noise schedule of a DDPM (Ho et al. 2020, arXiv 2006.11239): what is left of an image at each step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 1000  # the length of the trained process


@dataclass(frozen=True)
class Schedule:
    """The share of the signal's variance left after each step."""

    abar: Tensor  # (STEPS,) float32 on the CPU: the cumulative product of 1 - beta

    def at(self, step: int) -> float:
        """Return abar at one step; before the first (-1) nothing is lost yet."""
        return 1.0 if step < 0 else float(self.abar[step])


def linear(steps: int = STEPS, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """Return the schedule whose betas grow linearly."""
    betas = torch.linspace(first, last, steps, dtype=torch.float64).float()
    return Schedule(torch.cumprod(1.0 - betas, dim=0))
