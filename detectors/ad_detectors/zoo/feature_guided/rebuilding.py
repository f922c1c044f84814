"""The way back from strong noise: told what an image's features are, or drawn to them by their gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Images
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.chains import Sampling, denoise, gaussian
from ad_detectors.diffusion.guidance import gradients, guided
from ad_detectors.diffusion.schedule import linear
from ad_detectors.diffusion.strides import respaced
from ad_detectors.diffusion.training import Predict, PredictGiven
from ad_detectors.zoo.feature_guided.config import Config

SCHEDULE = linear(dtype=torch.float64)
LEFT_ALONE = 0.1  # share of the calls, the last ones, that no gradient draws


class NamingNoise:
    """To name the noise in an image whose features are told, or sometimes not (DDPM, eq. 14).

    Ho and Salimans 2022, arXiv 2207.12598, leave out what is told for a share of the images.
    """

    def __init__(self, config: Config, data: Images, told: Tensor | None, seed: int) -> None:
        """Take what is told of each image (N, D + 1), or None where the U-Net is told nothing."""
        self.config, self.count, self.told, self.seed = config, len(data), told, seed

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,), noise, and what is told (B, D + 1) unless that is nothing."""
        generator = determinism.generator(self.seed, "noise", step)
        t = torch.randint(self.config.noise_levels, (len(images),), generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        if self.told is None:
            return t, noise
        kept = torch.rand(len(images), generator=generator) >= self.config.embed_drop
        # Batches come in this order.
        places = determinism.step_indices(self.seed, step, self.config.batch_size, self.count)
        return t, noise, self.told[places] * kept[:, None]

    def losses(self, predict: PredictGiven, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean squared distance of predicted and true noise of each image."""
        t, noise, *told = drawn
        x = samplers.noised(images, noise, SCHEDULE.of(t))
        return (predict(x, t, *told).float() - noise).square().mean(dim=(1, 2, 3))


def rebuilt(predict: Predict, shown: Tensor, generators: Sequence[torch.Generator], config: Config) -> Tensor:
    """Noise images (B, 3, S, S) in -1..1 to `noise_step` and bring them back by DDIM."""
    steps = respaced(config.noise_step, config.calls)
    noise = gaussian(generators, shown.shape[1:], shown.device)
    at = torch.full((len(shown),), steps[0])
    x = samplers.noised(shown, noise(at), SCHEDULE.of(at))
    clip = config.guidance == "embed"  # of a guided step the clean estimate is not clipped again
    sampling = Sampling(schedule=SCHEDULE, sampler="ddim", eta=config.eta, clip=clip)
    return denoise(predict, x, [steps] * len(shown), sampling, noise)


def told(predict: PredictGiven, conditions: Tensor, strength: float) -> Predict:
    """Return a U-Net that is told conditions (B, D + 1), the more the stronger (arXiv 2207.12598, eq. 6)."""
    nothing = torch.zeros_like(conditions)

    def predicted(x: Tensor, t: Tensor) -> Tensor:
        e = predict(x, t, conditions)
        return e if strength == 0.0 else (1.0 + strength) * e - strength * predict(x, t, nothing)

    return predicted


def drawn_to(predict: Predict, shown: Tensor, extractor: FeatureExtractor, config: Config) -> Predict:
    """Return a U-Net whose clean estimate is drawn to the features of the images (B, 3, S, S) shown.

    The gradient of their squared distance is brought to a root mean square of 1 in each image, so that
    `grad_scale` means the same for all layers; of the last calls none is taken.
    """
    if config.grad_scale == 0.0:
        return guided(predict, lambda x, t: torch.zeros_like(x), SCHEDULE)
    steps = respaced(config.noise_step, config.calls)
    alone = set(steps[len(steps) - int(LEFT_ALONE * len(steps)) :])

    wanted = _seen(extractor, shown, config)

    def far(x: Tensor, t: Tensor, *wanted: Tensor) -> Tensor:
        clean = samplers.clean_estimate(x, predict(x, t), SCHEDULE.of(t))
        both = zip(_seen(extractor, clean, config), wanted, strict=True)
        return torch.stack([(a - b).square().flatten(1).mean(1) for a, b in both]).sum(0)

    def nearer(x: Tensor, t: Tensor) -> Tensor:
        if int(t[0]) in alone:
            return torch.zeros_like(x)
        up = gradients(far, x, t, *wanted)
        size = up.square().flatten(1).mean(1).sqrt().clamp(min=1e-12)
        return -config.grad_scale * up / size[:, None, None, None]

    return guided(predict, nearer, SCHEDULE)


def _seen(extractor: FeatureExtractor, pictures: Tensor, config: Config) -> Sequence[Tensor]:
    shown = ((pictures + 1.0) / 2.0).contiguous(memory_format=torch.channels_last)
    return extractor(shown, config.map_layers)  # type: ignore[no-any-return]
