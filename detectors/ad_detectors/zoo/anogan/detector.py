"""AnoGAN as a detector: how far an image is from the nearest one that its generator can draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.maps import blurred, stretched, to_model_size, to_size
from ad_detectors.microbatching import RebuildingDetector
from ad_detectors.nets.learner import Adam, Learner, below
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.anogan import training
from ad_detectors.zoo.anogan.config import NO_EXPORT
from ad_detectors.zoo.anogan.config import Config as AnoGANConfig
from ad_detectors.zoo.anogan.networks import Discriminator, Generator
from ad_detectors.zoo.anogan.searching import Drawer, Drawing

if TYPE_CHECKING:
    from ad_detectors.api import State


class AnoGAN(RebuildingDetector):
    """AnoGAN on a DCGAN, and its search by an encoder after f-AnoGAN.

    Differs from the publication where that costs accuracy for nothing: the best step of a search counts, not
    the last; losses are means, so that lambda does not depend on the size; many images are searched at once.
    """

    Config = AnoGANConfig
    config: AnoGANConfig

    def __init__(self, config: AnoGANConfig) -> None:
        super().__init__(config)
        self._adversaries: Learner | None = None
        self._encoder: Learner | None = None
        self._seed: int | None = None  # from which the starts of searches are drawn

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Train both adversaries and, where it is wanted, the encoder."""
        self._device = ctx.device
        if ctx.begin("generator"):
            self._train(data, ctx)
            ctx.end("generator")
        if ctx.begin("encoder"):
            if self.config.search == "encoder":
                self._train_encoder(data, ctx)
            ctx.end("encoder")
        if ctx.begin("score"):
            self._seed = determinism.derive(ctx.seed, "score")
            ctx.end("score")

    def export_module(self) -> nn.Module:
        """Raise NotExportable: a search is no graph."""
        raise NotExportable(NO_EXPORT)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._adversaries is not None:
            kept |= {f"generator/{key}": value for key, value in self._adversaries.state().items()}
        if self._encoder is not None:
            kept |= {f"encoder/{key}": value for key, value in self._encoder.state().items()}
        if self._seed is not None:
            kept["score/seed"] = self._seed
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in {"generator", "encoder", "score"}]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of an anogan state")
        if of_both := below(state, "generator/"):
            learner = training.adversaries(self.config, 0)
            learner.restore(of_both, "an anogan")
            self._adversaries = learner
        if of_encoder := below(state, "encoder/"):
            guessing = training.encoder(self.config, 0)
            guessing.restore(of_encoder, "an anogan's encoder")
            self._encoder = guessing
        seed = state.get("score/seed", self._seed)
        if seed is not None and not isinstance(seed, int):
            raise StateError("score/seed of this state is no whole number")
        self._seed = seed
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        self._device = device
        for learner in (self._adversaries, self._encoder):
            if learner is not None:
                learner.to(device)

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._adversaries is None or not self._adversaries.unfinished:
            self._adversaries = training.adversaries(config, ctx.seed)
        learner = self._adversaries
        steps = config.train_steps(len(data))
        for losses in learner.train(
            data,
            ctx,
            steps=steps,
            batch_size=config.batch_size,
            adam=self._adam,
            update=training.adversarial(learner, config, ctx),
        ):
            ctx.report(learner.step, of=steps + config.guessing_steps, **losses)
        learner.finish()

    def _train_encoder(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._adversaries is None:
            raise StateError("anogan's encoder learns from its generator, which this state lacks")
        self.to(ctx.device)
        if self._encoder is None or not self._encoder.unfinished:
            self._encoder = training.encoder(config, ctx.seed)
        learner = self._encoder
        before = config.train_steps(len(data))
        for losses in learner.train(
            data,
            ctx,
            steps=config.guessing_steps,
            batch_size=config.batch_size,
            adam=self._adam,
            update=training.guessing(learner, self._adversaries.nets, config, ctx),
        ):
            ctx.report(before + learner.step, of=before + config.guessing_steps, **losses)
        learner.finish()

    @property
    def _adam(self) -> Adam:
        return Adam(lr=self.config.lr, beta1=self.config.beta1)

    def _nearest(self, images: Tensor) -> tuple[Tensor, Drawing]:
        """Return one microbatch in -1..1 and what it comes nearest to."""
        drawer, seed = self._fitted()
        small = to_model_size(images, self.config.image_size)
        pixels = normalised(small.to(self._device))
        if self._encoder is not None and self.config.search == "encoder":
            z = self._encoder.nets[training.ENCODER](pixels)
            return pixels, drawer.drawing(z, pixels, drawer.features(pixels))
        starts = torch.stack([self._starts(seed, each) for each in small], dim=1)
        return pixels, drawer.best_of(pixels, starts.to(self._device))

    def _starts(self, seed: int, image: Tensor) -> Tensor:  # (restarts, z_size)
        generator = determinism.image_generator(seed, image)
        return torch.randn(self.config.restarts, self.config.z_size, generator=generator)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels, found = self._nearest(images)
        maps = blurred((pixels - found.pictures).abs().mean(dim=1), self.config.blur_sigma)
        scores = found.loss if self.config.image_score == "loss" else maps.amax(dim=(1, 2))
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return the nearest drawings, at the images' size; the residuals are of these pictures."""
        _, found = self._nearest(images)
        return (to_size(shown_again(found.pictures), *images.shape[-2:]),)

    def _fitted(self) -> tuple[Drawer, int]:
        learner, seed = self._adversaries, self._seed
        guesses = self.config.search == "gradient" or self._encoder is not None
        if learner is None or learner.unfinished or seed is None or not guesses:
            raise StateError("this anogan has not been fitted; fit it or restore a fitted state first")
        generator = cast("Generator", learner.nets[training.GENERATOR])
        discriminator = cast("Discriminator", learner.nets[training.DISCRIMINATOR])
        return Drawer(generator, discriminator, self.config), seed
