"""The noise of AnoDDPM: simplex fields, normal numbers, or by the toss of a coin either."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.schedule import Schedule, cosine, linear
from ad_detectors.diffusion.simplex import Octaves, fields
from ad_detectors.diffusion.simplex.pool import SimplexPool
from ad_detectors.diffusion.training import Predict
from ad_detectors.zoo.anoddpm.config import Config

SEEDS = 10**10  # simplex seeds lie within plus and minus this, as published


def octaves_of(config: Config) -> Octaves:
    """Return how a config's simplex fields are made up."""
    return Octaves(count=config.octaves, persistence=config.persistence, wavelength=config.wavelength)


def schedule_of(config: Config) -> Schedule:
    """Return the noise schedule of a config, in float64."""
    return cosine() if config.schedule == "cosine" else linear(dtype=torch.float64)


def drawn_for(
    generators: Sequence[torch.Generator], shape: Sequence[int], t: int, config: Config, kind: str
) -> Tensor:
    """Return noise (B, C, H, W) at the step t, each image's from its own CPU generator."""
    channels, height, width = shape
    simplex = [kind == "simplex" or (kind == "mixed" and _heads(each)) for each in generators]
    result = torch.empty(len(generators), *shape)
    seeds: list[int] = []
    for index, (generator, chosen) in enumerate(zip(generators, simplex, strict=True)):
        if chosen:
            seeds += torch.randint(-SEEDS, SEEDS, (channels,), generator=generator).tolist()
        else:
            result[index] = torch.randn(tuple(shape), generator=generator)
    if seeds:
        found = fields(seeds, (height, width), t, octaves_of(config)) / _unit(config)
        result[torch.tensor(simplex)] = found.view(-1, channels, height, width)
    return result


class DenoisingTask:
    """To name the noise in an image at a step that is drawn (DDPM, arXiv 2006.11239, eq. 14)."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.seed = config, seed
        self.schedule = schedule_of(config)
        pooled = config.noise != "gauss" and config.noise_pool > 0
        self._pool = (
            SimplexPool(
                determinism.derive(seed, "simplex"), config.image_size, octaves_of(config), config.noise_pool
            )
            if pooled
            else None
        )

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,), noise and the weights (B,) of the losses."""
        generator = determinism.generator(self.seed, "noise", step)
        t, weights = self._levels(len(images), generator)
        shape = images.shape[1:]
        kind = self.config.noise
        if self._pool is None:
            each = [self._one(shape, int(at), kind, generator) for at in t]
            return t, torch.cat(each), weights
        noise = self._pool.drawn((len(images), shape[0]), generator) / _unit(self.config)
        if kind == "mixed":
            gauss = torch.randn(images.shape, generator=generator)
            heads = torch.rand(len(images), generator=generator) < 0.5
            noise = torch.where(heads[:, None, None, None], noise, gauss)
        return t, noise, weights

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean distance of predicted and true noise of each image, weighed."""
        t, noise, weights = drawn
        abar = self.schedule.of(t).to(images.dtype).to(images.device)[:, None, None, None]
        found = predict(abar.sqrt() * images + (1.0 - abar).sqrt() * noise, t).float()
        apart = found - noise
        each = apart.abs() if self.config.loss == "l1" else apart.square()
        return each.mean(dim=(1, 2, 3)) * weights

    def _one(self, shape: Sequence[int], t: int, kind: str, generator: torch.Generator) -> Tensor:
        return drawn_for([generator], shape, t, self.config, kind)

    def _levels(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return noise steps and the weights that make their losses' mean that of evenly drawn ones."""
        levels = self.config.noise_levels
        if self.config.level_weight == "uniform":
            return torch.randint(levels, (count,), generator=generator), torch.ones(count)
        chance = torch.arange(levels, 0, -1, dtype=torch.float64)
        chance = chance / chance.sum()
        t = torch.multinomial(chance, count, replacement=True, generator=generator)
        return t, (1.0 / (levels * chance[t])).float()


def _heads(generator: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=generator) < 0.5)


def _unit(config: Config) -> float:
    return octaves_of(config).deviation if config.standardise else 1.0
