"""What AnoDDPM's denoiser is trained on: to name the noise in an image at a step that is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.noises import TrainingNoise
from ad_detectors.diffusion.schedule import Schedule, cosine, linear
from ad_detectors.diffusion.training import Predict
from ad_detectors.zoo.anoddpm.config import Config


def schedule_of(config: Config) -> Schedule:
    """Return the noise schedule of a config, in float64."""
    return cosine() if config.schedule == "cosine" else linear(dtype=torch.float64)


class DenoisingTask:
    """To name the noise in an image at a step that is drawn (DDPM, arXiv 2006.11239, eq. 14)."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.seed = config, seed
        self.schedule = schedule_of(config)
        self._noise = TrainingNoise(config, seed)

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,), noise and the weights (B,) of the losses."""
        generator = determinism.generator(self.seed, "noise", step)
        t, weights = self._levels(len(images), generator)
        return t, self._noise.drawn(t, images.shape[1:], generator), weights

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean distance of predicted and true noise of each image, weighed."""
        t, noise, weights = drawn
        abar = self.schedule.of(t).to(images.dtype).to(images.device)[:, None, None, None]
        found = predict(abar.sqrt() * images + (1.0 - abar).sqrt() * noise, t).float()
        apart = found - noise
        each = apart.abs() if self.config.loss == "l1" else apart.square()
        return each.mean(dim=(1, 2, 3)) * weights

    def _levels(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return noise steps and the weights that make their losses' mean that of evenly drawn ones."""
        levels = self.config.noise_levels
        if self.config.level_weight == "uniform":
            return torch.randint(levels, (count,), generator=generator), torch.ones(count)
        chance = torch.arange(levels, 0, -1, dtype=torch.float64)
        chance = chance / chance.sum()
        t = torch.multinomial(chance, count, replacement=True, generator=generator)
        return t, (1.0 / (levels * chance[t])).float()
