"""Guided DDIM: an image is turned to noise and brought back as a normal one; what changed is anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.anomalous import Anomalies
from ad_detectors.diffusion import learning, samplers
from ad_detectors.diffusion.chains import Sampling, denoise, encode, gaussian
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.diffusion.guidance import gradients, guided
from ad_detectors.diffusion.schedule import linear
from ad_detectors.diffusion.strides import strided
from ad_detectors.diffusion.training import Predict
from ad_detectors.errors import StateError
from ad_detectors.maps import blurred, image_scores, stretched, to_model_size, to_size
from ad_detectors.nets.learner import Adam, Learner, below, built
from ad_detectors.nets.unet import UNetShape
from ad_detectors.nets.unet_classifier import UNetClassifier
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.ddpm_guided.config import NO_EXPORT
from ad_detectors.zoo.ddpm_guided.config import Config as GuidedConfig
from ad_detectors.zoo.ddpm_guided.learning_pairs import ANOMALOUS, NORMAL, NamingClasses, NamingNoise

if TYPE_CHECKING:
    from ad_detectors.api import State

CLASSES = 2
HEAD_CHANNELS = 64  # of the classifier
SCHEDULE = linear(dtype=torch.float64)


class DDPMGuided(DenoisingDetector):
    """Wolleb et al. (MICCAI 2022): DDIM both ways, and a classifier that says where "normal" is.

    Differs from the published code where that is not what the paper says: nothing is drawn, and the way back
    starts where the way out ended (see `compat`). Defects need not be labelled.
    """

    Config = GuidedConfig
    name = "ddpm_guided"
    no_export = NO_EXPORT
    parts = ("denoiser", "classifier", "score")
    config: GuidedConfig

    def __init__(self, config: GuidedConfig) -> None:
        super().__init__(config)
        self._classifier: Learner | None = None

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        found = self._classifier.state() if self._classifier is not None else {}
        return {**super().state(), **{f"classifier/{key}": value for key, value in found.items()}}

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        if found := below(state, "classifier/"):
            learner = self._fresh_classifier(0)
            learner.restore(found, f"{self.name}'s classifier")
            self._classifier = learner
        super().restore(state)

    def to(self, device: torch.device) -> None:
        """Move both networks to a device."""
        super().to(device)
        if self._classifier is not None:
            self._classifier.to(device)

    def _shape(self) -> UNetShape:
        return shape_of(self.config)

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config, total = self.config, self.config.steps + self.config.steps_of_classifier
        if self._learner is None or not self._learner.unfinished:
            self._learner = learning.fresh(shape_of(config), ctx.seed)
        recipe = learning.Recipe(
            steps=config.steps, batch_size=config.batch_size // 2, lr=config.lr, ema=config.ema or None
        )

        def report(step: int, loss: float) -> None:
            ctx.report(step, of=total, **{"train/loss": loss})

        anomalies = Anomalies(data, config.labels, ctx.seed)
        task = NamingNoise(anomalies, config.noise_levels, SCHEDULE, ctx.seed)
        self._learner.train(recipe, task, data, ctx, report, self.batch_divisor)
        self._learner.finish()

    def _fit_between(self, data: Images, ctx: FitContext) -> None:
        if not ctx.begin("classifier"):
            return
        config, seed = self.config, determinism.derive(ctx.seed, "classifier")
        if self._classifier is None or not self._classifier.unfinished:
            self._classifier = self._fresh_classifier(ctx.seed)
        learner, anomalies = self._classifier, Anomalies(data, config.labels, seed)
        levels, divisor = config.noise_levels, self.batch_divisor
        for losses in learner.train(
            data,
            ctx,
            steps=config.steps_of_classifier,
            batch_size=config.batch_size // 2,
            adam=Adam(lr=config.classifier_lr),
            update=NamingClasses(learner, anomalies, levels, SCHEDULE, ctx, seed, divisor),
        ):
            step, total = config.steps + learner.step, config.steps + config.steps_of_classifier
            ctx.report(step, of=total, **losses)
        learner.finish()
        ctx.end("classifier")

    def _fresh_classifier(self, seed: int) -> Learner:
        shape = shape_of_classifier(self.config)
        return Learner({"net": built(lambda: UNetClassifier(shape), determinism.derive(seed, "classifier"))})

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        shown, rebuilt = self._rebuilt(to_model_size(images, config.image_size))
        if config.difference == "stretched":
            shown, rebuilt = _spread(shown), _spread(rebuilt)
        maps = blurred((shown - rebuilt).abs().sum(1), config.blur_sigma)
        scores = image_scores(maps, config.image_score)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what images look like when brought back as normal ones."""
        _, rebuilt = self._rebuilt(to_model_size(images, self.config.image_size))
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _rebuilt(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, S, S) in -1..1, and what the way to noise and back makes of them."""
        config, (predict, seed) = self.config, self._fitted()
        shown = normalised(images.to(self._device))

        def of_class(number: int) -> Predict:
            return lambda x, t: predict(x, t, torch.full((len(x),), number, device=x.device))

        start, out, back = shown, strided(config.noise_step - 1, config.skip)[::-1], config.noise_step - 1
        if config.compat:
            generators = [determinism.image_generator(seed, image) for image in images]
            at = torch.zeros(len(images), dtype=torch.int64)
            noise = gaussian(generators, shown.shape[1:], self._device)(at)
            start = samplers.noised(shown, noise, SCHEDULE.of(at))
            out, back = [step + 1 for step in out], config.noise_step - 2
        x = encode(of_class(ANOMALOUS if config.encode_as == "anomalous" else NORMAL), start, out, WAY_OUT)
        towards_normal = guided(of_class(NORMAL), self._gradient, SCHEDULE)
        steps = [strided(back, config.skip)] * len(x)
        return shown, denoise(towards_normal, x, steps, WAY_BACK, torch.zeros_like)

    def _gradient(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the gradient of the logarithm of the chance of "normal", times `guidance`."""
        if self._classifier is None or self._classifier.unfinished:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
        if self.config.guidance == 0.0:
            return torch.zeros_like(x)
        net = cast("UNetClassifier", self._classifier.nets["net"])

        def chance(x: Tensor, t: Tensor) -> Tensor:
            return F.log_softmax(net(x, t), dim=1)[:, NORMAL]

        return self.config.guidance * gradients(chance, x, t)


WAY_OUT = Sampling(schedule=SCHEDULE)
WAY_BACK = Sampling(schedule=SCHEDULE, sampler="ddim", clip=False)


def shape_of(config: GuidedConfig) -> UNetShape:
    """Return what decides the tensors of this config's U-Net: guided-diffusion's with classes."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        multipliers=config.multipliers,
        residual_blocks=config.residual_blocks,
        attention_divisors=config.attention,
        heads=config.heads,
        cosine_first=True,
        resampling="convolution",
        classes=CLASSES,
    )


def shape_of_classifier(config: GuidedConfig) -> UNetShape:
    """Return what decides the tensors of this config's classifier: guided-diffusion's."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.classifier_channels,
        multipliers=config.multipliers,
        residual_blocks=config.classifier_blocks,
        attention_divisors=config.classifier_attention,
        head_channels=HEAD_CHANNELS,
        out_channels=CLASSES,
        scale_shift=True,
        cosine_first=True,
    )


def _spread(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) stretched to 0..1 each; a flat one becomes black."""
    low, high = (each[:, None, None, None] for each in images.flatten(1).aminmax(dim=1))
    return (images - low) / (high - low).clamp(min=1e-12)
