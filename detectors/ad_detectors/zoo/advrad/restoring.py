"""Restoring an image in one shot, the error at several scales, and what the denoiser is trained on.

After Cao, Lin and Chen (arXiv 2408.04839).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.chains import Sampling, denoise
from ad_detectors.diffusion.schedule import Schedule, cosine, linear
from ad_detectors.diffusion.strides import respaced
from ad_detectors.diffusion.training import Predict
from ad_detectors.zoo.advrad.config import Config


def schedule_of(config: Config) -> Schedule:
    """Return the noise schedule of a config, in float64."""
    return cosine() if config.schedule == "cosine" else linear(dtype=torch.float64)


class NamingNoise:
    """To name the noise in an image at a step that is drawn (DDPM, arXiv 2006.11239, eq. 14)."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.seed, self.schedule = config, seed, schedule_of(config)

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,), normal noise, and which images are mirrored (B,)."""
        generator = determinism.generator(self.seed, "noise", step)
        count = len(images)
        t = torch.randint(self.config.noise_levels, (count,), generator=generator)
        mirrored = torch.rand(count, generator=generator) < (0.5 if self.config.flip else 0.0)
        return t, torch.randn(images.shape, generator=generator), mirrored

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean squared distance of predicted and true noise of each image."""
        t, noise, mirrored = drawn
        shown = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        found = predict(samplers.noised(shown, noise, self.schedule.of(t)), t).float()
        return (found - noise).square().mean(dim=(1, 2, 3))


def restored(predict: Predict, noised: Tensor, schedule: Schedule, step: int, shots: int) -> Tensor:
    """Return what images at a noise step (B, C, H, W) were, by so many moves of DDIM; differentiable.

    One shot is the clean estimate x~ = (x_k - sqrt(1 - abar_k) e) / sqrt(abar_k). Nothing is clipped: a pixel
    that is has no gradient, and that alone would stop an attack.
    """
    steps = [respaced(step, shots)] * len(noised)
    sampling = Sampling(schedule=schedule, sampler="ddim", clip=False)
    return denoise(predict, noised, steps, sampling, torch.zeros_like)


def errors(predict: Predict, images: Tensor, noise: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Return the error (B, H, W) of images (B, C, H, W) and their restorations, means over repeats.

    Each image is noised with each of its own noises (B, repeats, C, H, W). Differentiable in the images.
    """
    count, repeats = noise.shape[:2]
    schedule = schedule_of(config)
    clean = images[:, None].expand_as(noise).flatten(0, 1)
    abar = schedule.of(torch.full((count * repeats,), config.noise_step - 1))
    noised = samplers.noised(clean, noise.flatten(0, 1), abar)
    found = restored(predict, noised, schedule, config.noise_step, config.shots)
    apart, many = error_map(clean, found, config), (count, repeats)
    return apart.view(*many, *apart.shape[1:]).mean(1), found.reshape(*many, *found.shape[1:]).mean(1)


def error_map(images: Tensor, rebuilt: Tensor, config: Config) -> Tensor:  # (B, H, W)
    """Return the squared difference, a mean over colours and scales, under a mean filter."""
    found = multiscale(images, rebuilt, config.scales)
    radius = config.mean_filter // 2
    if radius == 0:
        return found
    padded = F.pad(found[:, None], (radius,) * 4, mode="replicate")
    return F.avg_pool2d(padded, config.mean_filter, stride=1)[:, 0]


def multiscale(images: Tensor, rebuilt: Tensor, scales: Sequence[int]) -> Tensor:  # (B, H, W)
    """Return the mean over scales of the squared difference of images that are so many times smaller.

    An image is made smaller by means over squares of pixels; errors are stretched between their centres.
    """
    apart, size = images - rebuilt, images.shape[-2:]
    total = torch.zeros_like(apart[:, :1])
    for scale in scales:
        # The mean over squares is linear: that of the difference is the difference of those of the images.
        small = F.avg_pool2d(apart, scale) if scale > 1 else apart
        error = small.square().mean(1, keepdim=True)
        stretched = F.interpolate(error, size, mode="bilinear", align_corners=False) if scale > 1 else error
        total = total + stretched
    return total[:, 0] / len(scales)


def noise_of(generators: Sequence[torch.Generator], config: Config, device: torch.device) -> Tensor:
    """Return the noises of images (B, repeats, 3, S, S), each image's from its own CPU generator."""
    shape = (config.repeats, 3, config.image_size, config.image_size)
    return torch.stack([torch.randn(shape, generator=own) for own in generators]).to(device)
