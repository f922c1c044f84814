"""DDAD: reconstruct an image under the pull of the image itself; what does not come back is anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images, Scores
from ad_detectors.backbones import features
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.diffusion.learning import predictor
from ad_detectors.errors import NotExportable, StateError
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.microbatching import RebuildingDetector
from ad_detectors.pixels import shown_again
from ad_detectors.zoo.ddad import adaptation as adapting
from ad_detectors.zoo.ddad import denoiser as denoising
from ad_detectors.zoo.ddad import scale, scoring
from ad_detectors.zoo.ddad.config import NO_BACKBONE, NO_EXPORT
from ad_detectors.zoo.ddad.config import Config as DDADConfig
from ad_detectors.zoo.ddad.scale import PixelScale

if TYPE_CHECKING:
    from ad_detectors.api import State

FITTING = "score/fitting/"  # keys of an unfinished scale


class DDAD(RebuildingDetector):
    """DDAD and DDAD-S, with the adaptation of the feature extractor.

    Differs from the published code where that makes scores depend on other images or hides defects: the
    pixel distance is scaled by a constant of the training images instead of one of the batch, and the
    image score is the maximum over the whole map, whose border is not cropped away. The setting `compat`
    brings the published scoring back: there one call of `score` is one published batch of test images (or
    several of `compat_batch`), and a score depends on the other images of its batch.
    """

    Config = DDADConfig
    abreast = True
    divides = True  # but for the adaptation's own pass, whose batch norm needs the batch whole
    config: DDADConfig

    def __init__(self, config: DDADConfig) -> None:
        super().__init__(config)
        self._denoiser: denoising.Denoiser | None = None
        self._adaptation: adapting.Adaptation | None = None
        self._scale: PixelScale | None = None
        self._scaled = False  # whether the scale has seen all its batches
        self._seed: int | None = None  # from which the noise of scoring is drawn
        self._mixed = False  # whether the fit was in mixed precision: then so is scoring
        self._reported = 0  # reports of this fit so far, those of interrupted processes included

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Train the denoiser, adapt the pretrained features, scale the pixel distance."""
        self._device = ctx.device
        if ctx.begin("denoiser"):
            self._train(data, ctx)
            ctx.end("denoiser")
        if ctx.begin("features"):
            self._adapt(data, ctx)
            ctx.end("features")
        if ctx.begin("score"):
            self._fit_scale(data, ctx)
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        with torch.no_grad():
            if self.config.compat:
                parts = [
                    self._score_published(part) for part in torch.split(images, self.config.compat_batch)
                ]
                scores, maps = (torch.cat(results) for results in zip(*parts, strict=True))
            else:
                scores, maps = self._microbatched(self._score_microbatch, images)
        return Scores(images=scores, maps=maps)

    def export_module(self) -> nn.Module:
        """Raise NotExportable: the noise of a score cannot be drawn in a graph."""
        raise NotExportable(NO_EXPORT)

    @property
    def batch(self) -> int | None:
        """Return the published batch of test images, for `compat` alone."""
        return self.config.compat_batch if self.config.compat else None

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._denoiser is not None:
            kept |= {f"denoiser/{key}": value for key, value in self._denoiser.state().items()}
        if self._adaptation is not None:
            kept["features/backbone"] = self.config.backbone
            kept |= {f"features/{key}": value for key, value in self._adaptation.state().items()}
        if self._seed is not None and self._scale is not None:
            place = "score/" if self._scaled else FITTING
            kept |= {f"{place}{key}": value for key, value in self._scale.state().items()}
            kept |= {"score/seed": self._seed, "score/mixed": self._mixed}
            if not self._scaled:
                kept[f"{FITTING}reported"] = self._reported
        return kept

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key.partition("/")[0] not in {"denoiser", "features", "score"}]
        if unknown:
            raise StateError(f"'{unknown[0]}' is no part of a ddad state")
        if denoiser := _below(state, "denoiser/"):
            self._denoiser = denoising.restored(self.config, denoiser)
            self._reported = max(self._reported, self._denoiser.step)
        if of_features := _below(state, "features/"):
            self._adaptation = adapting.restored(self.config, of_features)
            self._reported = max(self._reported, self._adaptation.reported)
        if of_score := _below(state, "score/"):
            self._restore_score(of_score)
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        self._device = device
        if self._denoiser is not None:
            self._denoiser.net.move(device)
        if self._adaptation is not None and self._adaptation.extractor is not None:
            self._adaptation.extractor.to(device)

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if config.backbone != NO_BACKBONE and self._adaptation is None:
            features.find(config.backbone, places_from_environment())  # fail now rather than after hours
        if self._denoiser is None or not self._denoiser.unfinished:
            self._denoiser = denoising.fresh(config, ctx.seed)
        of = config.train_steps(len(data)) + config.adaptation_steps(len(data)) + self._batches_of_scale(data)

        def report(step: int, loss: float) -> None:
            self._reported = step
            ctx.report(step, of=of, **{"train/loss": loss})

        self._denoiser.train(config, data, ctx, report, self.batch_divisor)
        self._denoiser.finish()

    def _adapt(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if self._denoiser is None:
            raise StateError("ddad's features are adapted with its denoiser, which this state lacks")
        if self._adaptation is None or not self._adaptation.unfinished:
            self._adaptation = adapting.fresh(config)
            self._adaptation.reported = self._reported
        adaptation = self._adaptation
        left = config.adaptation_steps(len(data)) - adaptation.step
        of = self._reported + left + self._batches_of_scale(data)

        def report(loss: float) -> None:
            self._reported = adaptation.reported
            ctx.report(self._reported, of=of, **{"train/adaptation_loss": loss})

        self.to(ctx.device)
        predict = predictor(self._denoiser.net, ctx.device, ctx.autocast)
        adaptation.train(config, predict, data, ctx, report, self.batch_divisor)
        adaptation.finish(config)

    def _fit_scale(self, data: Images, ctx: FitContext) -> None:
        """See a fixed sample of the training images in microbatches, reporting after each."""
        if self._scale is None or self._seed is None or self._scaled:
            self._scale, self._seed = PixelScale(), determinism.derive(ctx.seed, "score")
            self._scaled, self._mixed = False, ctx.autocast
        wanted = self._batches_of_scale(data)
        of = self._reported + wanted - self._scale.batches
        sample = determinism.epoch_order(determinism.derive(ctx.seed, "scale"), 0, len(data))
        sample = sample[: self.config.scale_images]
        while self._scale.batches < wanted:
            start = self._scale.batches * determinism.MICROBATCH
            images = self._resized(data.batch(sample[start : start + determinism.MICROBATCH]))
            with torch.no_grad():
                pixel, feature = self._microbatched(self._distances, images)
            self._scale = self._scale.seen(pixel, feature)
            self._reported += 1
            ctx.report(self._reported, of=of)
        self._scaled = True

    def _batches_of_scale(self, data: Images) -> int:
        if self.config.backbone == NO_BACKBONE or self.config.compat:
            return 0  # nothing to set the pixel distance in proportion to, or each batch does that itself
        return -(-min(self.config.scale_images, len(data)) // determinism.MICROBATCH)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._scale is None or not self._scaled:
            raise StateError("this ddad has not been fitted; fit it or restore a fitted state first")
        pixel, feature = self._distances(self._resized(images))
        weight = self._pixel_weight(self._scale.value)
        scores, maps = scoring.own_maps(pixel, feature, weight, self.config.blur_sigma)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _score_published(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixel, feature = self._microbatched(self._distances, self._resized(images))
        weight = self._pixel_weight(scoring.batch_weight(pixel, feature))
        scores, maps = scoring.published_maps(pixel, feature, weight, self.config.blur_sigma)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _pixel_weight(self, scale: float) -> float:
        # Without features the map is the pixel distance itself, whatever v: a factor would rank nothing anew.
        return 1.0 if self.config.backbone == NO_BACKBONE else self.config.v * scale

    def _distances(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return D_p and D_f, (B, S, S) each, of one microbatch of uint8 images at the model's size."""
        return scoring.distances(self._fitted(), self.config, images)

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what the denoiser makes of images, at their size; the distances are of these pictures."""
        _, rebuilt = scoring.compared(self._fitted(), self.config, self._resized(images))
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _fitted(self) -> scoring.Fitted:
        if self._denoiser is None or self._seed is None or self._adaptation is None:
            raise StateError("this ddad has not been fitted; fit it or restore a fitted state first")
        return scoring.Fitted(
            net=self._denoiser.net,
            extractor=self._adaptation.extractor,
            seed=self._seed,
            device=self._device,
            mixed=self._mixed,
        )

    def _resized(self, images: Tensor) -> Tensor:
        return to_model_size(images, self.config.image_size)

    def _restore_score(self, state: State) -> None:
        seed = state.get("seed")
        if not isinstance(seed, int):
            raise StateError("this state lacks score/seed; it is no ddad state")
        self._seed, self._mixed = seed, state.get("mixed") is True
        fitting = _below(state, "fitting/")
        self._scaled = not fitting
        self._scale = scale.restored(fitting or state)
        reported = fitting.get("reported", 0)
        self._reported = max(self._reported, int(reported))


def _below(state: State, prefix: str) -> State:
    """Return the part of a state under a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
