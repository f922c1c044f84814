"""DDAD: reconstruct an image under the pull of the image itself; what does not come back is anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Detector, FitContext, Images, Scores
from ad_detectors.backbones import features
from ad_detectors.backbones.features import FeatureExtractor
from ad_detectors.backbones.weights import places_from_environment
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.conditioned import Trajectory, noise_of, reconstruct
from ad_detectors.errors import StateError
from ad_detectors.zoo.ddad import denoiser as denoising
from ad_detectors.zoo.ddad import scale
from ad_detectors.zoo.ddad.config import NO_BACKBONE
from ad_detectors.zoo.ddad.config import Config as DDADConfig
from ad_detectors.zoo.ddad.distance import blurred, feature_distance, pixel_distance
from ad_detectors.zoo.ddad.scale import PixelScale

if TYPE_CHECKING:
    from ad_detectors.api import State

FITTING = "score/fitting/"  # keys of an unfinished scale


class DDAD(Detector):
    """DDAD without the adaptation of the feature extractor.

    Differs from the published code where that makes scores depend on other images or hides defects: the
    pixel distance is scaled by a constant of the training images instead of one of the batch, and the
    image score is the maximum over the whole map, whose border is not cropped away.
    """

    Config = DDADConfig
    config: DDADConfig

    def __init__(self, config: DDADConfig) -> None:
        super().__init__(config)
        self._device = torch.device("cpu")
        self._denoiser: denoising.Denoiser | None = None
        self._extractor: FeatureExtractor | None = None
        self._features_done = False
        self._scale: PixelScale | None = None
        self._scaled = False  # whether the scale has seen all its batches
        self._seed: int | None = None  # from which the noise of scoring is drawn
        self._reported = 0  # reports of this fit so far, those of interrupted processes included

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Train the denoiser, take the pretrained features, scale the pixel distance."""
        self._device = ctx.device
        if ctx.begin("denoiser"):
            self._train(data, ctx)
            ctx.end("denoiser")
        if ctx.begin("features"):
            self._load_features()
            ctx.end("features")
        if ctx.begin("score"):
            self._fit_scale(data, ctx)
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        with torch.no_grad():
            scores, maps = determinism.microbatched(self._score_microbatch, images)
        return Scores(images=scores, maps=maps)

    def state(self) -> State:
        """Return the stages that are there, each under its name."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._denoiser is not None:
            kept |= {f"denoiser/{key}": value for key, value in self._denoiser.state().items()}
        if self._features_done:
            kept["features/backbone"] = self.config.backbone
        if self._extractor is not None:
            tensors = self._extractor.state_dict()
            kept |= {
                f"features/net/{key}": tensor.detach().to("cpu", copy=True) for key, tensor in tensors.items()
            }
        if self._seed is not None and self._scale is not None:
            place = "score/" if self._scaled else FITTING
            kept |= {f"{place}{key}": value for key, value in self._scale.state().items()}
            kept["score/seed"] = self._seed
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
            self._restore_features(of_features)
        if of_score := _below(state, "score/"):
            self._restore_score(of_score)
        self.to(self._device)

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        self._device = device
        if self._denoiser is not None:
            self._denoiser.net.to(device)
            if device.type == "cuda":
                self._denoiser.net.to(memory_format=torch.channels_last)
        if self._extractor is not None:
            self._extractor.to(device)

    def _train(self, data: Images, ctx: FitContext) -> None:
        config = self.config
        if config.backbone != NO_BACKBONE and not self._features_done:
            features.find(config.backbone, places_from_environment())  # fail now rather than after hours
        if self._denoiser is None or not self._denoiser.unfinished:
            self._denoiser = denoising.fresh(config, ctx.seed)
        of = config.steps + self._batches_of_scale(data)

        def report(step: int, loss: float) -> None:
            self._reported = step
            ctx.report(step, of=of, **{"train/loss": loss})

        self._denoiser.train(config, data, ctx, report)
        self._denoiser.finish()

    def _load_features(self) -> None:
        config = self.config
        if config.backbone != NO_BACKBONE:
            places = places_from_environment()
            self._extractor = features.load(config.backbone, config.feature_strides, places=places)
            self._extractor.to(self._device)
        self._features_done = True

    def _fit_scale(self, data: Images, ctx: FitContext) -> None:
        """See a fixed sample of the training images in microbatches, reporting after each."""
        if self._scale is None or self._seed is None or self._scaled:
            self._scale, self._seed = PixelScale(), determinism.derive(ctx.seed, "score")
            self._scaled = False
        wanted = self._batches_of_scale(data)
        of = self._reported + wanted - self._scale.batches
        sample = determinism.epoch_order(determinism.derive(ctx.seed, "scale"), 0, len(data))
        sample = sample[: self.config.scale_images]
        while self._scale.batches < wanted:
            start = self._scale.batches * determinism.MICROBATCH
            images = self._resized(data.batch(sample[start : start + determinism.MICROBATCH]))
            with torch.no_grad():
                pixel, feature = determinism.microbatched(self._distances, images)
            self._scale = self._scale.seen(pixel, feature)
            self._reported += 1
            ctx.report(self._reported, of=of)
        self._scaled = True

    def _batches_of_scale(self, data: Images) -> int:
        if self.config.backbone == NO_BACKBONE:
            return 0  # there is nothing to set the pixel distance in proportion to
        return -(-min(self.config.scale_images, len(data)) // determinism.MICROBATCH)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self._scale is None or not self._scaled:
            raise StateError("this ddad has not been fitted; fit it or restore a fitted state first")
        pixel, feature = self._distances(self._resized(images))
        maps = blurred(feature + self._pixel_weight(self._scale) * pixel, self.config.blur_sigma)
        size = (images.shape[-2], images.shape[-1])
        full = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        return maps.amax(dim=(1, 2)).cpu(), full.cpu()

    def _pixel_weight(self, scale: PixelScale) -> float:
        # Without features the map is the pixel distance itself, whatever v: a factor would rank nothing anew.
        return 1.0 if self._extractor is None else self.config.v * scale.value

    def _distances(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return D_p and D_f, (B, S, S) each, of one microbatch of uint8 images at the model's size."""
        rebuilt = self._reconstruct(images)
        shown = denoising.normalised(images.to(self._device))
        pixel = pixel_distance(shown, rebuilt)
        if self._extractor is None:
            return pixel, torch.zeros_like(pixel)
        return pixel, feature_distance(self._extractor, shown, rebuilt)

    def _reconstruct(self, images: Tensor) -> Tensor:
        if self._denoiser is None or self._seed is None or not self._features_done:
            raise StateError("this ddad has not been fitted; fit it or restore a fitted state first")
        config, net = self.config, self._denoiser.net.eval()
        generators = [determinism.image_generator(self._seed, image) for image in images]
        noise = noise_of(generators, images.shape[1:], self._device)
        shown = denoising.normalised(images.to(self._device))
        trajectory = Trajectory(w=config.w, noise_step=config.noise_step, skip=config.skip, eta=config.eta)
        return reconstruct(net, shown, shown, schedule.linear(), trajectory, noise)

    def _resized(self, images: Tensor) -> Tensor:
        size = (self.config.image_size, self.config.image_size)
        if tuple(images.shape[-2:]) == size:
            return images
        # On uint8 this is what PIL does too, so scoring sees what training on decoded files saw.
        return F.interpolate(images.cpu(), size, mode="bilinear", antialias=True, align_corners=False)

    def _restore_features(self, state: State) -> None:
        config = self.config
        if state.get("backbone") != config.backbone:
            raise StateError(
                f"this state has the backbone '{state.get('backbone')}', the config '{config.backbone}'"
            )
        if config.backbone != NO_BACKBONE:
            extractor = features.empty(config.backbone, config.feature_strides)
            tensors = {
                key: value for key, value in _below(state, "net/").items() if isinstance(value, Tensor)
            }
            try:
                extractor.load_state_dict(tensors)
            except RuntimeError as error:
                first = " ".join(str(error).split())[:160]
                raise StateError(f"this state's features do not fit '{config.backbone}': {first}") from error
            self._extractor = extractor
        self._features_done = True

    def _restore_score(self, state: State) -> None:
        seed = state.get("seed")
        if not isinstance(seed, int):
            raise StateError("this state lacks score/seed; it is no ddad state")
        self._seed = seed
        fitting = _below(state, "fitting/")
        self._scaled = not fitting
        self._scale = scale.restored(fitting or state)
        reported = fitting.get("reported", 0)
        self._reported = max(self._reported, int(reported))


def _below(state: State, prefix: str) -> State:
    """Return the part of a state under a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
