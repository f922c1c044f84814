"""What a denoiser is trained on: to name the noise that was mixed into an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ad_detectors.diffusion.schedule import Schedule

Predict = Callable[[Tensor, Tensor], Tensor]  # x_t (B, C, H, W), t (B,) -> the noise in it
PredictGiven = Callable[..., Tensor]  # as `Predict`, with a third argument: classes or conditions


def denoising_loss(
    predict: Predict,
    images: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
    levels: int | None = None,
) -> Tensor:
    """Return the loss at steps and for noise drawn from the generator, on its device.

    Of the schedule's steps only the first `levels` are drawn, all of them unless told.
    """
    return loss_at(predict, images, schedule, *drawn(images, schedule, generator, levels))


def drawn(
    images: Tensor, schedule: Schedule, generator: torch.Generator, levels: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return a step (B,) for each image, of the first `levels` or of all, and noise like the images."""
    high = len(schedule.abar) if levels is None else levels
    t = torch.randint(0, high, (len(images),), generator=generator, device=generator.device)
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    return t.to(images.device), noise.to(images.device)


def loss_at(predict: Predict, images: Tensor, schedule: Schedule, t: Tensor, noise: Tensor) -> Tensor:
    """Return the simple loss of DDPM (eq. 14), summed over an image's values and averaged over images.

    The published DDAD sums too: beside the usual mean its gradients are C*H*W times larger, which matters
    for Adam's coupled weight decay.
    """
    abar = schedule.abar.to(images.device)[t][:, None, None, None]
    noised = abar.sqrt() * images + (1.0 - abar).sqrt() * noise
    return (noise - predict(noised, t).float()).square().sum(dim=(1, 2, 3)).mean()
