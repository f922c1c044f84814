"""Patched DDPM: a patch is noised and restored from what surrounds it; where it changes it was anomalous."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import learning
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.diffusion.noises import drawn_for
from ad_detectors.maps import blurred, median_filtered, stretched, to_model_size, to_size
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.pddpm.config import NO_EXPORT
from ad_detectors.zoo.pddpm.config import Config as PatchedConfig
from ad_detectors.zoo.pddpm.restoring import RestoringTask, restored


class PatchedDDPM(DenoisingDetector):
    """Patched DDPM after Behrendt et al.

    Differs from the published code by noise of each image's own, by whole patches where the image is no
    multiple of them, and by overlaps that are joined without leaving pixels out.
    """

    Config = PatchedConfig
    name = "pddpm"
    no_export = NO_EXPORT
    config: PatchedConfig

    def _shape(self) -> UNetShape:
        return shape_of(self.config)

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        recipe = learning.Recipe(
            steps=config.steps, batch_size=config.batch_size, lr=config.lr, ema=config.ema or None
        )
        self._train(recipe, RestoringTask(config, ctx.seed), data, ctx)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        apart, _ = self._compared(to_model_size(images, config.image_size))
        maps = blurred(median_filtered(apart, config.median), config.blur_sigma)
        scores = maps.amax(dim=(1, 2)) if config.image_score == "max" else maps.mean(dim=(1, 2))
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return images of which every patch was restored, the mean of several if `repeats` says so."""
        _, rebuilt = self._compared(to_model_size(images, self.config.image_size))
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _compared(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the difference (B, S, S) and the restoration (B, 3, S, S), means over repeats."""
        predict, seed = self._fitted()
        config = self.config
        generators = [determinism.image_generator(seed, image) for image in images]
        shown = normalised(images.to(self._device))
        differences, pictures = torch.zeros_like(shown[:, 0]), torch.zeros_like(shown)
        for _ in range(config.repeats):
            noise = drawn_for(generators, shown.shape[1:], config.noise_step - 1, config, config.noise)
            rebuilt = restored(predict, shown, noise.to(self._device), config)
            apart = (shown - rebuilt) / 2.0  # of -1..1: as shares of the range
            differences += (apart.abs() if config.difference == "absolute" else apart.square()).mean(1)
            pictures += rebuilt
        return differences / config.repeats, pictures / config.repeats


def shape_of(config: PatchedConfig) -> UNetShape:
    """Return what decides the tensors of this U-Net: of guided-diffusion's kind, with one attention."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        attention_divisors=(),
        head_channels=config.head_channels,
        dropout=config.dropout,
        scale_shift=True,
        cosine_first=True,
    )
