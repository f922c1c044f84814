"""The noise that images are mixed with: simplex fields, normal numbers, or by the toss of a coin either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.simplex import Octaves, fields
from ad_detectors.diffusion.simplex.pool import SimplexPool

SEEDS = 10**10  # simplex seeds lie within plus and minus this, as published


class NoiseSettings(Protocol):
    """The settings of a config that say what its images are noised with."""

    @property
    def noise(self) -> str:
        """Return "simplex", "gauss" or "mixed"."""

    @property
    def octaves(self) -> int:
        """Return how many there are, each twice as fine as the one before."""

    @property
    def persistence(self) -> float:
        """Return the strength of an octave beside the one before it."""

    @property
    def wavelength(self) -> float:
        """Return that of the first octave, in pixels."""

    @property
    def standardise(self) -> bool:
        """Return whether simplex noise is scaled to deviation 1."""

    @property
    def noise_pool(self) -> int:
        """Return how many fields training takes pieces of; 0 draws fresh ones."""

    @property
    def image_size(self) -> int:
        """Return the side of an image, in pixels."""


def octaves_of(config: NoiseSettings) -> Octaves:
    """Return how a config's simplex fields are made up."""
    return Octaves(count=config.octaves, persistence=config.persistence, wavelength=config.wavelength)


def drawn_for(
    generators: Sequence[torch.Generator], shape: Sequence[int], t: int, config: NoiseSettings, kind: str
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


class TrainingNoise:
    """Noise for the steps of a training, drawn from one CPU generator a step."""

    def __init__(self, config: NoiseSettings, seed: int) -> None:
        self.config = config
        self._pool: SimplexPool | None = None
        if config.noise != "gauss" and config.noise_pool > 0:
            derived = determinism.derive(seed, "simplex")
            self._pool = SimplexPool(derived, config.image_size, octaves_of(config), config.noise_pool)

    def drawn(self, t: Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Return noise (B, C, H, W) for images (C, H, W) at the steps t (B,)."""
        kind = self.config.noise
        if self._pool is None:
            return torch.cat([drawn_for([generator], shape, int(at), self.config, kind) for at in t])
        noise = self._pool.drawn((len(t), shape[0]), generator) / _unit(self.config)
        if kind == "mixed":
            gauss = torch.randn(len(t), *shape, generator=generator)
            heads = torch.rand(len(t), generator=generator) < 0.5
            noise = torch.where(heads[:, None, None, None], noise, gauss)
        return noise


def _heads(generator: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=generator) < 0.5)


def _unit(config: NoiseSettings) -> float:
    return octaves_of(config).deviation if config.standardise else 1.0
