"""A ready diffusion model rebuilds an image; what it cannot rebuild is anomalous. No training is needed."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.diffusion import importing, learning
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.diffusion.schedule import linear
from ad_detectors.diffusion.training import Predict
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.guided_ddm import rebuilding
from ad_detectors.zoo.guided_ddm.config import NO_EXPORT, NO_WEIGHTS, SOURCE
from ad_detectors.zoo.guided_ddm.config import Config as GuidedConfig


class GuidedDDM(DenoisingDetector):
    """Reconstructions by guided-diffusion's unconditional ImageNet model.

    Differs from the published proof of concept by scores that depend on the image alone, by reconstructions
    in one batch along few steps, and by an optional training on the normal images.
    """

    microbatch = 1  # an image's reconstructions are a batch already
    Config = GuidedConfig
    name = "guided_ddm"
    no_export = NO_EXPORT
    config: GuidedConfig

    def _shape(self) -> UNetShape:
        return shape_of(self.config)

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if config.steps == 0:
            if self._learner is None:  # else it was restored after its only report
                self._learner = self._loaded(ctx.seed)
                ctx.report(1, of=1)
            return
        if self._learner is None or not self._learner.unfinished:
            self._learner = self._loaded(ctx.seed)
        recipe = learning.Recipe(steps=config.steps, batch_size=config.batch_size, lr=config.lr, clip=1.0)

        def report(step: int, loss: float) -> None:
            ctx.report(step, of=config.steps, **{"train/loss": loss})

        self._learner.train(recipe, NamingNoise(config, ctx.seed), data, ctx, report, self.batch_divisor)
        self._learner.finish()

    def _loaded(self, seed: int) -> learning.Learner:
        shape = shape_of(self.config)
        if self.config.weights == NO_WEIGHTS:
            return learning.fresh(shape, seed)
        path = importing.find(self.config.weights, places_from_environment(), SOURCE)
        return learning.Learner(unet_keys.load(importing.read(path), shape))

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shown, pictures = self._rebuilt(images)
        maps = rebuilding.error(shown, pictures, self.config)[None]
        return maps.amax(dim=(1, 2)).cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return the mean of an image's reconstructions, stretched as the model saw the image."""
        _, pictures = self._rebuilt(images)
        mean = shown_again(pictures.mean(0, keepdim=True))
        return (to_size(mean, *images.shape[-2:]),)

    def _rebuilt(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the model is shown (3, S, S) of one image, and its reconstructions (N, 3, S, S)."""
        predict, seed = self._fitted()
        (image,) = to_model_size(images, self.config.image_size)
        generator = determinism.image_generator(seed, image)
        pixels = normalised(image[None].to(self._device))
        (shown,) = rebuilding.stretched(pixels, self.config.stretch)
        together = max(rebuilding.LEAST_TOGETHER, -(-self.config.repeats // self.batch_divisor))
        return shown, rebuilding.rebuilt(predict, shown, generator, self.config, together)


class NamingNoise:
    """To name the noise in an image, stretched as scoring does it; the variance is left as it is."""

    def __init__(self, config: GuidedConfig, seed: int) -> None:
        self.config, self.seed, self.schedule = config, seed, linear(dtype=torch.float64)

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,) and normal noise."""
        generator = determinism.generator(self.seed, "noise", step)
        t = torch.randint(self.config.noise_levels, (len(images),), generator=generator)
        return t, torch.randn(images.shape, generator=generator)

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the mean squared distance of predicted and true noise of each image (DDPM eq. 14)."""
        t, noise = drawn
        shown = rebuilding.stretched(images, self.config.stretch)
        abar = self.schedule.of(t).to(images.dtype).to(images.device)[:, None, None, None]
        found = predict(abar.sqrt() * shown + (1.0 - abar).sqrt() * noise, t).float()
        return (found[:, : images.shape[1]] - noise).square().mean(dim=(1, 2, 3))


def shape_of(config: GuidedConfig) -> UNetShape:
    """Return what decides the tensors of this config's U-Net: that of guided-diffusion."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        attention_divisors=config.attention,
        head_channels=config.head_channels,
        out_channels=6,
        scale_shift=True,
        cosine_first=True,
    )
