"""Reconstruction conditioned on a target (DDAD, Mousakhan et al. 2023, arXiv 2305.15956, section 4)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ad_detectors.diffusion.schedule import Schedule
from ad_detectors.diffusion.training import Predict

Noise = Callable[[], Tensor]  # fresh standard normal noise of the images' shape


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """How far an image is noised and how it is brought back."""

    w: float  # the pull towards the target
    noise_step: int  # T', to which the source is noised
    skip: int  # steps left out between two calls of the network
    eta: float  # 0 is DDIM, 1 has the variance of DDPM

    def steps(self) -> list[tuple[int, int]]:
        """Return (step, next step) from the noisiest to the clean image, which is step -1.

        The first step lies one skip below `noise_step`, as in the published code.
        """
        steps = list(range(0, self.noise_step, self.skip))[::-1]
        return list(zip(steps, [*steps[1:], -1], strict=True))


def sigma(abar: float, abar_next: float, eta: float) -> float:
    """Return the standard deviation of the fresh noise of one step (DDIM, arXiv 2010.02502, eq. 16)."""
    return eta * math.sqrt((1.0 - abar / abar_next) * (1.0 - abar_next) / (1.0 - abar))


def conditioned_estimate(
    x_t: Tensor, e: Tensor, target: Tensor, abar: float, w: float
) -> tuple[Tensor, Tensor]:
    """Return the clean estimate f0 and the noise e', both pulled towards the target (DDAD eq. 6 to 8).

    In closed form f0 = f + w (1 - abar) (target - f), with f the estimate without the pull.
    """
    keep, lost = math.sqrt(abar), math.sqrt(1.0 - abar)
    noised_target = keep * target + lost * e
    pulled = e - w * lost * (noised_target - x_t)
    return (x_t - lost * pulled) / keep, pulled


def reconstruct(
    predict: Predict, source: Tensor, target: Tensor, schedule: Schedule, trajectory: Trajectory, noise: Noise
) -> Tensor:
    """Noise the source and denoise it towards the target (DDAD algorithm 1); nothing is clipped."""
    start = schedule.at(trajectory.noise_step)
    x = math.sqrt(start) * source + math.sqrt(1.0 - start) * noise()
    for step, following in trajectory.steps():
        abar, abar_next = schedule.at(step), schedule.at(following)
        e = predict(x, torch.full((len(x),), step, device=x.device))
        clean, pulled = conditioned_estimate(x, e, target, abar, trajectory.w)
        spread = sigma(abar, abar_next, trajectory.eta)
        x = math.sqrt(abar_next) * clean + math.sqrt(max(0.0, 1.0 - abar_next - spread**2)) * pulled
        if spread > 0.0:
            x = x + spread * noise()
    return x


def noise_of(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Noise:
    """Return a source of noise in which each image draws from its own CPU generator.

    So an image meets the same noise whatever batch it is in and whatever device computes. For a card the next
    noise is drawn while it computes, and sent without waiting for it.
    """
    if device.type == "cuda":
        drawn = drawn_ahead(generators, shape)
        return lambda: drawn().pin_memory().to(device, non_blocking=True)

    def draw() -> Tensor:
        return torch.stack([torch.randn(tuple(shape), generator=own) for own in generators]).to(device)

    return draw


def drawn_ahead(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Noise:
    """Return a source of the same noise that draws in threads, and once more than it is asked to."""

    def begin() -> list[Future[Tensor]]:
        return [_threads().submit(torch.randn, tuple(shape), generator=own) for own in generators]

    coming = begin()

    def draw() -> Tensor:
        nonlocal coming
        drawn = torch.stack([each.result() for each in coming])
        coming = begin()
        return drawn

    return draw


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="noise")
