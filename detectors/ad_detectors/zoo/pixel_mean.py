"""Pixel mean: how far each pixel is from its mean over normal images, in its own standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Detector, FitContext, Images, Scores, Stage
from ad_detectors.config import Paper
from ad_detectors.errors import StateError
from ad_detectors.rules import check, wide_blur

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ad_detectors.api import State

READ_AT_ONCE = 16  # pictures from one report to the next; no result depends on it
KEYS = {
    "moments/training/seen",
    "moments/training/sum",
    "moments/training/squares",
    "moments/mean",
    "moments/deviation",
    "score/measure",
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the pixel mean."""

    image_size: Annotated[
        int, Field(ge=8, le=1024, description="side, in pixels, to which images are resized")
    ] = 256
    measure: Annotated[
        Literal["deviations", "difference"],
        Field(description="distance to the mean in standard deviations of the pixel, or in grey levels"),
    ] = "deviations"
    floor: Annotated[
        float,
        Field(gt=0.0, le=255.0, description="grey levels added to every deviation: a pixel may never vary"),
    ] = 5.0
    blur_sigma: fields.BlurSigma = 2.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


Settings: TypeAlias = Config  # within the detector, Config is its attribute

RULES = (wide_blur(),)

STAGES: tuple[Stage, ...] = (
    Stage("moments", ("image_size",)),
    Stage("score", ("measure", "floor", "blur_sigma")),
)

PRESETS: dict[str, dict[str, Any]] = {"tiny": {"image_size": 32, "blur_sigma": 0.5}}

SPACE: dict[str, dict[str, Any]] = {
    "floor": {"low": 0.5, "high": 50.0, "log": True},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

FAMILY = "pixel statistics"
COST = "a second; no network at all"
# Compared there as the variation model, after Steger, Ulrich and Wiedemann, "Machine Vision Algorithms and
# Applications" (2018).
PAPER = Paper(
    title="The MVTec Anomaly Detection Dataset: A Comprehensive Real-World Dataset for Unsupervised Anomaly "
    "Detection",
    authors="Paul Bergmann, Kilian Batzner, Michael Fauser, David Sattlegger, Carsten Steger",
    year=2021,
    url="https://doi.org/10.1007/s11263-020-01400-4",
)


NO_EXPORT = ""


class PixelMean(Detector):
    """How far each pixel is from its mean over normal images: the baseline that a detector must beat.

    Differs from the variation model by having no alignment and no threshold of its own, and by colour: the
    three channels are measured apart and averaged.
    """

    Config = Config
    divides = True
    config: Settings

    def __init__(self, config: Settings) -> None:
        super().__init__(config)
        self._seen = 0  # images in the sums
        self._sums: tuple[Tensor, Tensor] | None = None  # of x and of its square: (3, S, S) float64 each
        self._moments: tuple[Tensor, Tensor] | None = None  # mean and deviation: (3, S, S) float32 each
        self._ready = False

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Add up the pictures and their squares, then take mean and deviation."""
        if ctx.begin("moments"):
            self._add_up(data, ctx)
            self._take_moments()
            ctx.end("moments")
        if ctx.begin("score"):
            self._ready = True
            ctx.end("score")

    def score(self, images: Tensor) -> Scores:
        """Score images of any size; they are resized to `image_size`, and maps back to the images' size."""
        from ad_detectors import determinism

        scores, maps = determinism.microbatched(self._score_microbatch, images, divisor=self.batch_divisor)
        return Scores(images=scores, maps=maps)

    def export_module(self) -> nn.Module:
        """Return mean, deviation and what is done with them as a module."""
        from ad_detectors.exporting.module import Formula

        mean, deviation = self._fitted()
        return Formula(self._compared, mean=mean, deviation=deviation)

    def state(self) -> State:
        """Return the sums while they grow, and the moments afterwards."""
        kept: dict[str, Tensor | int | float | str | bool] = {}
        if self._moments is not None:
            mean, deviation = self._moments
            kept |= {"moments/mean": mean.clone().cpu(), "moments/deviation": deviation.clone().cpu()}
        elif self._sums is not None:
            kept |= {
                "moments/training/seen": self._seen,
                "moments/training/sum": self._sums[0].clone(),
                "moments/training/squares": self._sums[1].clone(),
            }
        return kept | ({"score/measure": self.config.measure} if self._ready else {})

    def restore(self, state: State) -> None:
        """Take over the stages that are in the state and leave the others as they are."""
        unknown = [key for key in state if key not in KEYS]
        if unknown or not state:
            raise StateError(f"'{unknown[0] if unknown else 'nothing'}' is no part of a pixel_mean state")
        if "moments/training/seen" in state:
            self._sums = self._planes(state, "moments/training/sum", "moments/training/squares")
            self._seen, self._moments = int(state["moments/training/seen"]), None
        elif "moments/mean" in state or "moments/deviation" in state:
            self._moments, self._sums = self._planes(state, "moments/mean", "moments/deviation"), None
        if "score/measure" in state:
            if state["score/measure"] != self.config.measure:
                raise StateError(
                    f"this state measures '{state['score/measure']}', the config '{self.config.measure}'"
                )
            self._ready = True

    def to(self, device: torch.device) -> None:
        """Move what scoring needs to a device."""
        if self._moments is not None:
            mean, deviation = self._moments
            self._moments = mean.to(device), deviation.to(device)

    def _add_up(self, data: Images, ctx: FitContext) -> None:
        import torch

        if self._sums is None:
            side = self.config.image_size
            self._seen = 0
            total, squares = torch.zeros(2, 3, side, side, dtype=torch.float64)
            self._sums = total, squares
        total, squares = self._sums
        of, at_once = -(-len(data) // READ_AT_ONCE), max(1, READ_AT_ONCE // self.batch_divisor)
        while self._seen < len(data):
            end = min(self._seen + READ_AT_ONCE, len(data))
            # Whole numbers far below 2**53: the sums are exact, in whatever order they are made.
            for start in range(self._seen, end, at_once):
                pixels = data.batch(range(start, min(start + at_once, end))).double()
                total += pixels.sum(0)
                squares += pixels.square().sum(0)
            self._seen = end
            ctx.report(-(-self._seen // READ_AT_ONCE), of=of)

    def _take_moments(self) -> None:
        if self._sums is None:
            raise StateError("this pixel_mean has added nothing up; fit it on at least one picture")
        mean, square = (each / self._seen for each in self._sums)
        deviation = (square - mean.square()).clamp(min=0.0).sqrt()
        self._moments, self._sums = (mean.float(), deviation.float()), None

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        from ad_detectors import maps

        mean, deviation = self._fitted()
        pixels = maps.to_model_size(images, self.config.image_size).to(mean.device).float()
        scores, blurred = self._compared(pixels, mean=mean, deviation=deviation)
        full = maps.stretched(blurred, images.shape[-2], images.shape[-1])
        return scores.cpu(), full.cpu()

    def _compared(self, pixels: Tensor, *, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, S, S) of pictures (B, 3, S, S), 0..255."""
        from ad_detectors import maps

        far = (pixels - mean).abs()
        if self.config.measure == "deviations":
            far = far / (deviation + self.config.floor)
        blurred = maps.blurred(far.mean(1), self.config.blur_sigma)
        return blurred.amax((1, 2)), blurred

    def _fitted(self) -> tuple[Tensor, Tensor]:
        if self._moments is None or not self._ready:
            raise StateError("this pixel_mean has not been fitted; fit it or restore a fitted state first")
        return self._moments

    def _planes(self, state: State, *keys: str) -> tuple[Tensor, Tensor]:
        side = self.config.image_size
        shapes = [tuple(getattr(state.get(key), "shape", ())) for key in keys]
        if shapes != [(3, side, side)] * 2:
            raise StateError(f"{' and '.join(keys)} of this state are not 3 x {side} x {side}; fit it anew")
        first, second = (state[key] for key in keys)
        return first.clone(), second.clone()  # type: ignore[union-attr]
