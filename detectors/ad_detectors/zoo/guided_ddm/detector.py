"""A ready diffusion model rebuilds an image; what it cannot rebuild is anomalous. No training is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import Detector, FitContext, Images, Scores
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.diffusion import importing, learning
from ad_detectors.diffusion.schedule import linear
from ad_detectors.diffusion.training import Predict
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.nets import unet_keys
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.guided_ddm import rebuilding
from ad_detectors.zoo.guided_ddm.config import NO_EXPORT, NO_WEIGHTS, SOURCE
from ad_detectors.zoo.guided_ddm.config import Config as GuidedConfig

if TYPE_CHECKING:
    from ad_detectors.api import State


class GuidedDDM(Detector):
    """Reconstructions by guided-diffusion's unconditional ImageNet model.

    Differs from the published proof of concept by scores that depend on the image alone, by reconstructions
    in one batch along few steps, and by an optional training on the normal images.
    """

    Config = GuidedConfig
    divides = True
    config: GuidedConfig

    def __init__(self, config: GuidedConfig) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")
        self._learner: learning.Learner | None = None
        self._seed: int | None = None  # from which the noise of scoring is drawn
        self._mixed = False  # whether the fit was in mixed precision: then so is scoring

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Load the weights, and train them on the normal images if `steps` says so."""
        self._device = ctx.device
        if ctx.begin("denoiser"):
            self._prepare(data, ctx)
            ctx.end("denoiser")
        if ctx.begin("score"):
            self._seed, self._mixed = determinism.derive(ctx.seed, "score"), ctx.autocast
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        # One image at a time: its reconstructions are a batch already.
        with torch.no_grad():
            found = determinism.microbatched(self._score_one, images, size=1)
        return Scores(*found)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return the mean of an image's reconstructions, stretched as the model saw the image."""
        with torch.no_grad():
            (rebuilt,) = determinism.microbatched(self._shown, images, size=1)
        return rebuilt

    def export_module(self) -> nn.Module:
        """Raise NotExportable: the noise of a score cannot be drawn in a graph."""
        raise NotExportable(NO_EXPORT)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._learner is not None:
            kept |= {f"denoiser/{key}": value for key, value in self._learner.state().items()}
        if self._seed is not None:
            kept |= {"score/seed": self._seed, "score/mixed": self._mixed}
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if not key.startswith(("denoiser/", "score/"))]
        if unknown or not state:
            raise StateError(f"'{unknown[0] if unknown else 'nothing'}' is no part of a guided_ddm state")
        own = {k.removeprefix("denoiser/"): v for k, v in state.items() if k.startswith("denoiser/")}
        if own:
            self._learner = learning.restored(shape_of(self.config), own, "guided_ddm's denoiser")
        if any(key.startswith("score/") for key in state):
            seed = state.get("score/seed")
            if not isinstance(seed, int):
                raise StateError("this state lacks score/seed; it is no guided_ddm state")
            self._seed, self._mixed = seed, state.get("score/mixed") is True
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self._device = device
        if self._learner is not None:
            self._learner.net.move(device)

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

    def _score_one(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shown, pictures = self._rebuilt(images)
        maps = rebuilding.error(shown, pictures, self.config)[None]
        return maps.amax(dim=(1, 2)).cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _shown(self, images: Tensor) -> tuple[Tensor]:
        _, pictures = self._rebuilt(images)
        mean = shown_again(pictures.mean(0, keepdim=True))
        return (to_size(mean, *images.shape[-2:]),)

    def _rebuilt(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the model is shown (3, S, S) of one image, and its reconstructions (N, 3, S, S)."""
        if self._learner is None or self._learner.unfinished or self._seed is None:
            raise StateError("this guided_ddm has not been fitted; fit it or restore a fitted state first")
        (image,) = to_model_size(images, self.config.image_size)
        generator = determinism.image_generator(self._seed, image)
        pixels = normalised(image[None].to(self._device))
        (shown,) = rebuilding.stretched(pixels, self.config.stretch)
        predict = learning.predictor(self._learner.net, self._device, self._mixed)
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
