"""How surprised the denoiser is by each place of latents: the divergence of single reverse steps.

Pinaya et al. 2022, arXiv 2206.03461, section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.diffusion import samplers, schedule
from ad_detectors.diffusion.chains import NoiseAt
from ad_detectors.diffusion.training import Predict

PROCESS = schedule.linear(first=0.0015, last=0.0195, dtype=torch.float64)
LEAST = 1e-12


@dataclass(frozen=True)
class Expected:
    """What normal images look like: their mean divergence at each step, and where surprise begins."""

    means: Tensor  # (T,) on the CPU
    threshold: float


def divergences(predict: Predict, z: Tensor, steps: Sequence[int], noise: NoiseAt) -> Tensor:
    """Return KL(q(z_t-1 | z_t, z_0) || p(z_t-1 | z_t)) of latents (B, C, h, w): (T, B, h, w), a mean over C.

    Both have the variance beta, so that it is the squared distance of their means over twice that.
    """
    found: list[Tensor] = []
    for step in steps:
        at, to = torch.full((len(z),), step), torch.full((len(z),), step - 1)
        abar, following = PROCESS.of(at), PROCESS.of(to)
        x = samplers.noised(z, noise(at), abar)
        guess = samplers.clean_estimate(x, predict(x, at.to(x.device)), abar, clip=False)
        # The means differ by what the clean images differ, times their part in the mean (DDPM eq. 7).
        part = (1.0 - abar / following) * following.sqrt() / (1.0 - abar)
        weight = part.square() / (2.0 * samplers.large_variance(abar, following))
        apart = (z - guess).square().mean(dim=1)
        found.append(apart * weight.to(apart.dtype).to(apart.device)[:, None, None])
    return torch.stack(found)


def surprise(found: Tensor, means: Tensor) -> Tensor:
    """Return the mean (B, h, w) of divergences (T, B, h, w), each step in proportion to the normal one."""
    usual = means.to(found.device).clamp(min=LEAST)
    return (found / usual[:, None, None, None]).mean(dim=0)


def expected(found: Tensor, calibrated: bool, quantile: float) -> Expected:
    """Return what divergences (T, N, h, w) of normal images tell.

    Without `calibrated` steps are not set in proportion, as published: those of large weight count most.
    """
    means = found.mean(dim=(1, 2, 3)) if calibrated else torch.ones(len(found))
    values = surprise(found, means).flatten().double().sort().values
    place = min(
        len(values) - 1, int(quantile * len(values))
    )  # torch.quantile takes 16 million values at most
    return Expected(means, float(values[place]))


def masked(found: Tensor, threshold: float, dilate: int) -> Tensor:
    """Return which places (B, h, w) surprise, and those up to `dilate` places away from one."""
    mask = (found > threshold).float()
    return F.max_pool2d(mask[:, None], 2 * dilate + 1, stride=1, padding=dilate)[:, 0] > 0.5


def enlarged(maps: Tensor, side: int, blur: Callable[[Tensor], Tensor]) -> Tensor:
    """Return maps (B, h, w) at (B, side, side), blurred, every place a square first."""
    return blur(F.interpolate(maps[:, None], (side, side), mode="nearest")[:, 0])
