"""The noise schedule of a DDPM (Ho et al. 2020, arXiv 2006.11239): what is left of an image at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 1000  # the length of the trained process


@dataclass(frozen=True)
class Schedule:
    """The share of the signal's variance left after each step."""

    abar: Tensor  # (STEPS,) floating point on the CPU: the cumulative product of 1 - beta

    def at(self, step: int) -> float:
        """Return abar at one step; before the first (-1) nothing is lost yet."""
        return 1.0 if step < 0 else float(self.abar[step])

    def of(self, steps: Tensor) -> Tensor:
        """Return abar (B,) of the steps (B,) in float64 on the CPU: 1 before the first, 0 after the last."""
        known = torch.cat([self.abar.new_ones(1), self.abar, self.abar.new_zeros(1)]).double()
        return known[(steps.cpu() + 1).clamp(0, len(known) - 1)]


def linear(
    steps: int = STEPS, first: float = 1e-4, last: float = 0.02, dtype: torch.dtype = torch.float32
) -> Schedule:
    """Return the schedule whose betas grow linearly (DDPM, section 4).

    In float64 differences of neighbouring steps keep their digits, as ancestral sampling wants them.
    """
    betas = torch.linspace(first, last, steps, dtype=torch.float64).to(dtype)
    return Schedule(torch.cumprod(1.0 - betas, dim=0))


def scaled_linear(steps: int = STEPS, first: float = 0.0015, last: float = 0.02) -> Schedule:
    """Return the schedule of which the betas' square roots grow linearly, in float64.

    That of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, in its code).
    """
    roots = torch.linspace(math.sqrt(first), math.sqrt(last), steps, dtype=torch.float64)
    return Schedule(torch.cumprod(1.0 - roots.square(), dim=0))


def rescaled_linear(steps: int = STEPS) -> Schedule:
    """Return the linear schedule of a shorter or longer process, betas in proportion, in float64."""
    scale = STEPS / steps
    return linear(steps, scale * 1e-4, min(scale * 0.02, 0.999), torch.float64)


def cosine(steps: int = STEPS, offset: float = 0.008, largest: float = 0.999) -> Schedule:
    """Return the schedule whose signal falls as a cosine, in float64.

    Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17. No beta exceeds `largest`.
    """

    def signal(t: float) -> float:
        return math.cos((t + offset) / (1.0 + offset) * math.pi / 2.0) ** 2

    kept = [max(signal((i + 1) / steps) / signal(i / steps), 1.0 - largest) for i in range(steps)]
    return Schedule(torch.tensor(kept, dtype=torch.float64).cumprod(0))
