"""Feature-guided reconstruction, after Xu et al. (2023): large noise, and features that lead the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.diffusion import learning
from ad_detectors.diffusion.detecting import DenoisingDetector
from ad_detectors.errors import StateError
from ad_detectors.maps import blurred, image_scores, stretched, to_model_size, to_size
from ad_detectors.nets.learner import below
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.feature_guided import embedding, rebuilding
from ad_detectors.zoo.feature_guided.config import NO_EXPORT
from ad_detectors.zoo.feature_guided.config import Config as FeatureGuidedConfig
from ad_detectors.zoo.feature_guided.embedding import Embedding
from ad_detectors.zoo.feature_guided.scale import Scale, restored_scale

if TYPE_CHECKING:
    from ad_detectors.api import State

EMBEDDED = "features/fitting/embedded"  # batches reported while the stage is unfinished
SCALE = "score/scale/"


class FeatureGuided(DenoisingDetector):
    """Guided by features, after Xu et al.: a reconstruction of an idea, not of a publication's numbers.

    Only the idea could be read: "use the feature embedding of the original image as guidance in the reverse
    diffusion process". Everything else is ours.
    """

    Config = FeatureGuidedConfig
    name = "feature_guided"
    no_export = NO_EXPORT
    parts = ("features", "denoiser", "score")
    config: FeatureGuidedConfig

    def __init__(self, config: FeatureGuidedConfig) -> None:
        super().__init__(config)
        self._embedding: Embedding | None = None
        self._embedded = 0
        self._told: Tensor | None = None  # of the training images (N, D + 1), on the CPU, while fitting
        self._scale = Scale()

    def state(self) -> State:
        """Return the stages that are there, each under its name; of unfinished features how far they are."""
        kept = dict(super().state())
        if self._embedding is not None and self._embedding.moments is not None:
            kept |= {f"features/{key}": value for key, value in self._embedding.state().items()}
        elif self._embedded:
            kept[EMBEDDED] = self._embedded
        if self._seed is not None:
            kept |= {SCALE + key: value for key, value in self._scale.state().items()}
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        embedded = state.get(EMBEDDED)
        if embedded is not None:
            if not isinstance(embedded, int):
                raise StateError(f"{EMBEDDED} of this state is no whole number")
            self._embedded = embedded
        elif found := below(state, "features/"):
            self._embedding = embedding.restored(self.config, found)
        if scale := below(state, SCALE):
            self._scale = restored_scale(scale)
        super().restore(state)

    def to(self, device: torch.device) -> None:
        """Move the U-Net and the backbone to a device."""
        super().to(device)
        if self._embedding is not None:
            self._embedding.to(device)

    def _shape(self) -> UNetShape:
        config = self.config
        return UNetShape(
            image_size=config.image_size,
            base_channels=config.base_channels,
            multipliers=config.multipliers,
            residual_blocks=config.residual_blocks,
            attention_divisors=config.attention,
            head_channels=config.head_channels,
            # Added to what a narrow level's norm takes the mean of, features would be lost.
            scale_shift=True,
            conditions=embedding.size_of(config) if config.guidance == "embed" else 0,
        )

    def _batches(self, count: int) -> int:
        return -(-count // determinism.MICROBATCH)

    def _steps(self, data: Images) -> tuple[int, int, int]:
        """Return the reports before the denoiser, with it, and of the whole fit."""
        before = self._batches(len(data))
        with_it = before + self.config.steps
        return before, with_it, with_it + self._batches(min(len(data), self.config.scale_images))

    def _fit_before(self, data: Images, ctx: FitContext) -> None:
        if not ctx.begin("features"):
            return
        if self._embedding is None:
            self._embedding = embedding.loaded(self.config)
        self._embedding.to(ctx.device)
        if self._embedding.moments is None:
            self._told = self._embed(self._embedding, data, ctx, self._steps(data)[2])
        self._embedded = 0
        ctx.end("features")

    def _embed(self, found: Embedding, data: Images, ctx: FitContext | None = None, of: int = 0) -> Tensor:
        """Return what is told of each training image; batches reported before are computed anew, unreported.

        With a context the vectors are learnt from, and each batch is reported.
        """
        config, total = self.config, self._batches(len(data))
        vectors: list[Tensor] = []

        def each(images: Tensor) -> tuple[Tensor]:
            return (found.vectors(images.to(self._device)),)

        for batch, first in enumerate(range(0, len(data), determinism.MICROBATCH), start=1):
            indices = range(first, min(first + determinism.MICROBATCH, len(data)))
            images = to_model_size(data.batch(indices), config.image_size)
            with torch.no_grad():
                vectors += determinism.microbatched(each, images, divisor=self.batch_divisor)
            if ctx is None:
                continue
            if batch == total:
                found.learn(torch.cat(vectors))
            if batch > self._embedded:
                self._embedded = batch
                ctx.report(batch, of=of)
        return found.conditions(torch.cat(vectors)).cpu()

    def _prepare(self, data: Images, ctx: FitContext) -> None:
        config, (before, _, total) = self.config, self._steps(data)
        if self._learner is None or not self._learner.unfinished:
            self._learner = learning.fresh(self._shape(), ctx.seed)
        recipe = learning.Recipe(
            steps=config.steps, batch_size=config.batch_size, lr=config.lr, ema=config.ema or None
        )

        def report(step: int, loss: float) -> None:
            ctx.report(before + step, of=total, **{"train/loss": loss})

        told = None
        if config.guidance == "embed":
            assert self._embedding is not None
            self._embedding.to(ctx.device)
            told = self._told if self._told is not None else self._embed(self._embedding, data)
        task = rebuilding.NamingNoise(config, data, told, ctx.seed)
        self._learner.train(recipe, task, data, ctx, report, self.batch_divisor)
        self._learner.finish()
        self._told = None

    def _fit_scoring(self, data: Images, ctx: FitContext) -> None:
        """Learn how far normal images are from their reconstructions."""
        self.to(ctx.device)
        _, done, total = self._steps(data)
        count = min(len(data), self.config.scale_images)
        chosen = [number * len(data) // count for number in range(count)]  # spread evenly
        while self._scale.images < count:
            first = self._scale.images
            pixels = to_model_size(
                data.batch(chosen[first : first + determinism.MICROBATCH]), self.config.image_size
            )
            with torch.no_grad():
                distances = determinism.microbatched(self._distances, pixels, divisor=self.batch_divisor)
            self._scale = self._scale.seen(*distances)
            ctx.report(done + self._batches(self._scale.images), of=total)
        self._scale = self._scale.finished()

    def _refuse_unscaled(self) -> None:
        self._fitted()
        if not self._scale.ready:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self._refuse_unscaled()
        config = self.config
        pixel, feature = self._distances(to_model_size(images, config.image_size))
        maps = config.pixel_weight * pixel / self._scale.pixel
        maps = blurred(maps + config.feature_weight * feature / self._scale.feature, config.blur_sigma)
        scores = image_scores(maps, config.image_score)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what images come back as, the mean of several if `repeats` says so."""
        self._refuse_unscaled()
        _, pictures = self._compared(to_model_size(images, self.config.image_size))
        return (to_size(shown_again(torch.stack(pictures).mean(0)), *images.shape[-2:]),)

    def _distances(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances of pixels and of features (B, S, S) each, means over reconstructions."""
        shown, pictures = self._compared(images)
        assert self._embedding is not None
        extractor, strides = self._embedding.extractor, self.config.map_layers
        pixel = [pixel_distance(shown, each) for each in pictures]
        feature = [feature_distance(extractor, shown, each, strides) for each in pictures]
        return torch.stack(pixel).mean(0), torch.stack(feature).mean(0)

    def _compared(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return uint8 images at the model's size as the network sees them, and their reconstructions."""
        config, (predict, seed) = self.config, self._fitted()
        if self._embedding is None or self._embedding.moments is None:
            raise StateError(f"this {self.name} has not been fitted; fit it or restore a fitted state first")
        pixels = images.to(self._device)
        shown = normalised(pixels)
        if config.guidance == "embed":
            conditions = self._embedding.conditions(self._embedding.vectors(pixels))
            led = rebuilding.told(predict, conditions, config.embed_strength)
        else:
            led = rebuilding.drawn_to(predict, shown, self._embedding.extractor, config)
        generators = [determinism.image_generator(seed, image) for image in images]
        return shown, [rebuilding.rebuilt(led, shown, generators, config) for _ in range(config.repeats)]
