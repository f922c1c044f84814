"""AnoDDPM: what a denoiser of normal images does not bring back from a little simplex noise is anomalous."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import learning, samplers
from ad_detectors.diffusion.chains import Sampling, denoise
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.diffusion.noises import drawn_for
from ad_detectors.diffusion.strides import strided
from ad_detectors.diffusion.training import Predict
from ad_detectors.maps import blurred, image_scores, stretched, to_model_size, to_size
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.anoddpm.config import NO_EXPORT
from ad_detectors.zoo.anoddpm.config import Config as AnoDDPMConfig
from ad_detectors.zoo.anoddpm.noising import DenoisingTask, schedule_of


class AnoDDPM(DenoisingDetector):
    """AnoDDPM with simplex noise.

    Differs from the published code where that cannot do what it says: batches may hold more than one image,
    every image has noise of its own, the number of heads is the trained one, and importance weights point
    the right way.
    """

    Config = AnoDDPMConfig
    name = "anoddpm"
    no_export = NO_EXPORT
    config: AnoDDPMConfig

    def _shape(self) -> UNetShape:
        return shape_of(self.config)

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        recipe = learning.Recipe(
            steps=config.steps,
            batch_size=config.batch_size,
            lr=config.lr,
            weight_decay=config.weight_decay,
            clip=config.clip,
            ema=config.ema or None,
        )
        self._train(recipe, DenoisingTask(config, ctx.seed), data, ctx)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        error, _ = self._compared(to_model_size(images, config.image_size))
        maps = blurred(error, config.blur_sigma)
        scores = image_scores(maps, config.image_score)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what the denoiser makes of images, the mean of several if `repeats` says so."""
        _, rebuilt = self._compared(to_model_size(images, self.config.image_size))
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _compared(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared error (B, S, S) and the reconstruction (B, 3, S, S), means over repeats."""
        predict, seed = self._fitted()
        generators = [determinism.image_generator(seed, image) for image in images]
        shown = normalised(images.to(self._device))
        errors, pictures = torch.zeros_like(shown[:, 0]), torch.zeros_like(shown)
        for _ in range(self.config.repeats):
            rebuilt = self._rebuilt(predict, shown, generators)
            errors += (shown - rebuilt).square().mean(1)
            pictures += rebuilt
        return errors / self.config.repeats, pictures / self.config.repeats

    def _rebuilt(self, predict: Predict, shown: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Noise images to `noise_step` and bring them back (the published forward_backward)."""
        config, count = self.config, len(shown)
        back = config.noise if config.reverse_noise == "same" else "gauss"

        def drawn(t: int, kind: str) -> Tensor:
            return drawn_for(generators, shown.shape[1:], t, config, kind).to(self._device)

        schedule = schedule_of(config)
        first = config.noise_step - 1
        start = schedule.of(torch.full((count,), first))
        x = samplers.noised(shown, drawn(first, config.noise), start)
        steps = [strided(first, config.skip)] * count
        return denoise(predict, x, steps, Sampling(schedule=schedule), lambda t: drawn(int(t[0]), back))


def shape_of(config: AnoDDPMConfig) -> UNetShape:
    """Return what decides the tensors of this config's U-Net."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        attention_divisors=config.attention,
        heads=config.heads,
        dropout=config.dropout,
    )
