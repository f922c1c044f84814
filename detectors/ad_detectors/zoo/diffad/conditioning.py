"""The denoiser of DiffAD: latents of a normal picture under noise, beside those of the picture as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion import samplers, schedule
from ad_detectors.diffusion.chains import Sampling, denoise
from ad_detectors.diffusion.latents import Remembered
from ad_detectors.diffusion.strides import respaced
from ad_detectors.diffusion.training import Predict
from ad_detectors.nets.unet import UNetShape
from ad_detectors.zoo.diffad.autoencoder import shape_of as autoencoder_shape
from ad_detectors.zoo.diffad.config import Config

PROCESS = schedule.scaled_linear()
CLEAN = -1  # the step before the first, at which there is no noise


class ConditionedTask:
    """Name the noise in a normal picture's latents, given those of the picture as it is, under noise too.

    How noisy the condition is the network is not told (section 3.2: the noisy condition embedding). Latents
    are those of `pairs`: mean and deviation of the normal picture's, and the condition.
    """

    def __init__(self, config: Config, pairs: Remembered, scale: float, seed: int) -> None:
        self.config, self._pairs, self._scale, self._seed = config, pairs, scale, seed
        shape = autoencoder_shape(config)
        self._latent = (shape.channels, shape.side, shape.side)

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return for pairs (B,): step and noise, those of the condition, and noise of the latents."""
        count, levels = len(images), self.config.condition_levels
        generator = determinism.generator(self._seed, "noise", step)
        t = torch.randint(schedule.STEPS, (count,), generator=generator)
        noise, of_condition, of_latent = (
            torch.randn(count, *self._latent, generator=generator) for _ in range(3)
        )
        at = torch.randint(max(1, levels), (count,), generator=generator)
        return t, noise, at if levels else torch.full_like(at, CLEAN), of_condition, of_latent

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean squared difference of each pair (B,)."""
        t, noise, at, of_condition, of_latent = drawn
        mean, deviation, condition = self._pairs.of(images.tolist(), images.device)
        clean = (mean + deviation * of_latent) / self._scale
        x = samplers.noised(clean, noise, PROCESS.of(t))
        beside = samplers.noised(condition / self._scale, of_condition, PROCESS.of(at))
        found = predict(torch.cat([x, beside], dim=1), t).float()
        return (found - noise).square().mean(dim=(1, 2, 3))


def conditioned(predict: Predict, condition: Tensor) -> Predict:
    """Return a denoiser of x alone, with the condition beside it."""
    return lambda x, t: predict(torch.cat([x, condition], dim=1), t)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How latents are brought out of pure noise."""

    calls: int  # of the network
    limit: float = 0.0  # beyond which estimates of clean latents are cut; 0: nowhere
    at: int = 0  # noise steps of the condition; 0: it has no noise


def rebuilt(
    predict: Predict, condition: Tensor, drawing: Drawing, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return latents (B, C, h, w) that fit a condition, by DDIM without randomness but for the first noise.

    Each image's noise is from its own CPU generator. Everything is scaled as in training.
    """
    shape, device = condition.shape[1:], condition.device

    def drawn() -> Tensor:
        return torch.stack([torch.randn(tuple(shape), generator=each) for each in generators]).to(device)

    x = drawn()
    if drawing.at > 0:
        abar = PROCESS.of(torch.full((len(condition),), drawing.at - 1))
        condition = samplers.noised(condition, drawn(), abar)
    steps = [respaced(schedule.STEPS, drawing.calls)] * len(condition)
    sampling = Sampling(schedule=PROCESS, sampler="ddim", clip=drawing.limit)
    return denoise(conditioned(predict, condition), x, steps, sampling, lambda _: torch.zeros_like(x))


def joined(
    decode: Callable[[Tensor], Tensor],
    image: Tensor,
    found: Tensor,
    condition: Tensor,
    mixes: Sequence[float],
) -> Tensor:
    """Return (B, 3 (2 + mixes), S, S): the reconstruction, the interpolated ones, and the image.

    An interpolated one is decoded from a mixture of the latents found and those of the image (section 3.3);
    `mixes` are the shares of the former.
    """
    between = [mix * found + (1.0 - mix) * condition for mix in mixes]
    return torch.cat([decode(z) for z in (found, *between)] + [image], dim=1)


def unet_shape(config: Config) -> UNetShape:
    """Return what decides the tensors of this config's denoiser."""
    return UNetShape(
        image_size=autoencoder_shape(config).side,
        base_channels=config.unet_channels,
        multipliers=config.unet_multipliers,
        residual_blocks=config.unet_blocks,
        attention_divisors=config.unet_attention,
        head_channels=config.head_channels,
        in_channels=2 * config.latent_channels,
        out_channels=config.latent_channels,
    )
