"""Whole chains of steps: noise back to images by DDPM or DDIM, in a part of them, and images to noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.schedule import Schedule
from ad_detectors.diffusion.strides import padded
from ad_detectors.diffusion.training import Predict

# Steps (B,) on the CPU -> fresh noise of the images' shape; of an image that waits, at -1, none is drawn.
NoiseAt = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a chain goes from one step to the next."""

    schedule: Schedule
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    eta: float = 0.0  # of DDIM alone
    clip: float = True  # the limit, -1..1 unless told, to which the clean estimate is clipped; False: none
    learned_variance: bool = False  # whether the network names it in a second half of its channels


def denoise(
    predict: Predict, x: Tensor, steps: Sequence[list[int]], sampling: Sampling, noise: NoiseAt
) -> Tensor:
    """Bring noised images (B, C, H, W) back along a list of steps of each, high to low.

    The lists may differ in length: an image whose list is shorter waits for the others to come so far, and
    what becomes of it does not depend on them.
    """
    table = padded(list(steps))
    for number in range(table.shape[1] - 1):
        t, following = table[:, number], table[:, number + 1]
        goes = (t != following).to(x.device)[:, None, None, None]
        x = torch.where(goes, _next(predict, x, t, following, sampling, noise), x)
    return x


def inpaint(
    predict: Predict, known: Tensor, mask: Tensor, steps: list[int], sampling: Sampling, noise: NoiseAt
) -> Tensor:
    """Return images (B, C, H, W) that are drawn anew where the mask (B, 1, H, W) is true, and kept elsewhere.

    It starts from `known` under the noise of the first step, the highest; at each step what is kept is put
    back, with that step's noise (RePaint, Lugmayr et al. 2022, arXiv 2201.09865, eq. 8, without its returns).
    """

    def noised(step: int) -> Tensor:
        at = torch.full((len(known),), step)
        return samplers.noised(known, noise(at), sampling.schedule.of(at)) if step >= 0 else known

    x = noised(steps[0])
    for t, following in pairwise([*steps, -1]):
        at, to = (torch.full((len(known),), step) for step in (t, following))
        x = torch.where(mask, _next(predict, x, at, to, sampling, noise), noised(following))
    return x


def encode(predict: Predict, x: Tensor, steps: Sequence[int], sampling: Sampling) -> Tensor:
    """Return what clean images become along steps from low to high, without randomness (DDIM eq. 14).

    Each move asks the network at the step it leaves, as guided-diffusion does; the first one, from the clean
    image, at the first step of the list.
    """
    for t, following in pairwise(steps):
        at, to = (torch.full((len(x),), each) for each in (t, following))
        abar, next_abar = sampling.schedule.of(at), sampling.schedule.of(to)
        e = predict(x, at.to(x.device))[:, : x.shape[1]]
        clean = samplers.clean_estimate(x, e, abar, sampling.clip)
        if sampling.clip:
            e = samplers.noise_estimate(x, clean, abar)
        x = samplers.ddim(clean, e, abar, next_abar)
    return x


def _next(
    predict: Predict, x: Tensor, t: Tensor, following: Tensor, sampling: Sampling, noise: NoiseAt
) -> Tensor:
    abar, next_abar = sampling.schedule.of(t), sampling.schedule.of(following)
    # An image that waits has no step to make; any will do for what is thrown away.
    next_abar = torch.where(t == following, torch.ones_like(next_abar), next_abar)
    channels, drawing = x.shape[1], torch.where(t == following, -1, t)
    found = predict(x, t.to(x.device))
    e = found[:, :channels]
    clean = samplers.clean_estimate(x, e, abar, sampling.clip)
    last = bool((following < 0).all())
    if sampling.sampler == "ddim":
        e = samplers.noise_estimate(x, clean, abar) if sampling.clip else e
        drawn = noise(drawing) if sampling.eta > 0.0 and not last else torch.zeros_like(x)
        return samplers.ddim(clean, e, abar, next_abar, sampling.eta, drawn)
    variance = None
    if sampling.learned_variance:
        variance = samplers.learned_variance(found[:, channels:], abar, next_abar)
    drawn = torch.zeros_like(x) if last else noise(drawing)
    return samplers.ancestral(x, clean, abar, next_abar, drawn, variance)


def gaussian(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> NoiseAt:
    """Return normal noise for images (C, H, W) that draw from a CPU generator of their own each.

    So an image meets the same noise whatever batch it is in and whatever device computes.
    """
    still = torch.zeros(tuple(shape))

    def draw(steps: Tensor) -> Tensor:
        each = zip(steps.tolist(), generators, strict=True)
        drawn = [still if t < 0 else torch.randn(tuple(shape), generator=own) for t, own in each]
        return torch.stack(drawn).to(device)

    return draw
