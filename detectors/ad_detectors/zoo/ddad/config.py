"""What can be set about DDAD, in which stage it matters, and what is worth searching; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur
from ad_detectors.zoo.ddad.presets import DEFAULT_PRESET, NO_BACKBONE, PRESETS
from ad_detectors.zoo.ddad.published import PUBLISHED

__all__ = [
    "COST",
    "DEFAULT_PRESET",
    "EXCLUSIVE",
    "FAMILY",
    "NO_BACKBONE",
    "NO_EXPORT",
    "PAPER",
    "PRESETS",
    "PUBLISHED",
    "RULES",
    "SPACE",
    "STAGES",
    "STAGES_WHEN",
    "Config",
]


NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of DDAD; the defaults are those published for MVTec AD at 256 px."""

    image_size: fields.UNetImageSize = 256
    base_channels: Annotated[
        int, Field(ge=32, le=256, multiple_of=32, description="U-Net channels at full size; DDAD-S has 32")
    ] = 64
    heads: Annotated[int, Field(ge=1, le=32, description="attention heads; DDAD-S has 2")] = 4
    dropout: Annotated[float, Field(ge=0.0, le=0.9, description="in training only; DDAD-S has 0.3")] = 0.0
    steps: Annotated[
        int | None,
        Field(ge=1, le=10_000_000, description="optimiser steps; 20000 are 2000 epochs of 320 images"),
    ] = 20_000
    epochs: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="instead of steps: times the whole batches of the images"),
    ] = None
    batch_size: fields.BatchSize = 32
    lr: fields.AdamLearningRate = 3e-4
    weight_decay: fields.CoupledWeightDecay = 0.05
    noise_levels: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="of 1000 noise steps the lowest, which are trained; fewer are learnt faster",
        ),
    ] = 1000
    backbone: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_.]+$",
            description="timm's name of the pretrained feature extractor; 'none' compares pixels alone",
        ),
    ] = "wide_resnet101_2.tv_in1k"
    feature_strides: Annotated[
        tuple[Literal[2, 4, 8, 16, 32], ...],
        Field(min_length=1, max_length=5, description="which feature maps are compared, by their stride"),
    ] = (8, 16)
    adapt_strides: Annotated[
        tuple[Literal[2, 4, 8, 16, 32], ...],
        Field(min_length=1, max_length=5, description="which feature maps are adapted, by their stride"),
    ] = (4, 8, 16)
    adapt_steps: Annotated[
        int | None,
        Field(ge=0, le=1_000_000, description="instead of adapt_epochs: optimiser steps; 0 adapts nothing"),
    ] = None
    adapt_epochs: Annotated[
        int | None,
        Field(ge=0, le=10_000, description="epochs in which the backbone is adapted; 0 leaves it as it is"),
    ] = 4
    adapt_batch_size: Annotated[
        int,
        Field(ge=2, le=1024, multiple_of=2, description="images per step; half are sources, half targets"),
    ] = 16
    adapt_lr: Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of the adaptation")] = 1e-4
    adapt_weight_decay: Annotated[
        float, Field(ge=0.0, le=10.0, description="weight decay of the adaptation (decoupled: AdamW)")
    ] = 0.01
    adapt_lambda: Annotated[
        float, Field(ge=0.0, le=100.0, description="pull back to the unadapted features; VisA has 0.01")
    ] = 0.1
    adapt_w: Annotated[float, Field(ge=0.0, le=20.0, description="as w, for the adaptation")] = 3.0
    adapt_noise_step: Annotated[
        int, Field(ge=1, le=999, description="as noise_step, for the adaptation; not with compat")
    ] = 250
    adapt_skip: Annotated[
        int, Field(ge=1, le=999, description="as skip, for the adaptation; not with compat")
    ] = 25
    adapt_eta: Annotated[
        float, Field(ge=0.0, le=1.0, description="as eta, for the adaptation; not with compat")
    ] = 1.0
    adapt_same: Annotated[
        bool, Field(description="adapt on an image rebuilt from itself, not from another one")
    ] = False
    compat: Annotated[
        bool,
        Field(description="score as published: in proportion to the batch's maxima, border left out"),
    ] = False
    w: Annotated[
        float, Field(ge=0.0, le=20.0, description="how strongly the reconstruction is pulled to the image")
    ] = 3.0
    noise_step: Annotated[
        int, Field(ge=1, le=999, description="step of 1000 to which an image is noised before it is rebuilt")
    ] = 250
    skip: Annotated[int, Field(ge=1, le=999, description="steps from one denoising call to the next")] = 25
    eta: Annotated[
        float, Field(ge=0.0, le=1.0, description="fresh noise while denoising: 0 none (DDIM), 1 as in DDPM")
    ] = 1.0
    v: Annotated[
        float, Field(ge=0.0, le=100.0, description="weight of the pixel distance beside the feature distance")
    ] = 1.0
    blur_sigma: fields.BlurSigma = 4.0
    scale_images: Annotated[
        int, Field(ge=1, le=4096, description="training images on which the pixel distance is scaled")
    ] = 32
    compat_batch: Annotated[
        int, Field(ge=1, le=1024, description="images that are scored together with compat; VisA has 32")
    ] = 16
    score_bfloat16: Annotated[
        bool,
        Field(
            description="rebuild in bfloat16 on a CPU too: faster where it computes that, the third digit "
            "of a score moves"
        ),
    ] = False

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES, EXCLUSIVE)

    @property
    def adapts(self) -> bool:
        """Return whether the backbone is adapted at all."""
        return self.backbone != NO_BACKBONE and bool(self.adapt_steps or self.adapt_epochs)

    def train_steps(self, images: int) -> int:
        """Return the denoiser's optimiser steps; an epoch has no step for a last batch that is not whole."""
        return self.steps or (self.epochs or 0) * max(1, images // self.batch_size)

    def adaptation_steps(self, images: int) -> int:
        """Return the backbone's optimiser steps."""
        if not self.adapts:
            return 0
        return self.adapt_steps or (self.adapt_epochs or 0) * max(1, images // self.adapt_batch_size)


EXCLUSIVE = (("steps", "epochs"), ("adapt_steps", "adapt_epochs"))  # of each one is given, the other null

_ADAPTS = f"backbone != '{NO_BACKBONE}' and (adapt_steps or adapt_epochs)"
RULES = (
    Rule("base_channels % heads == 0", "heads = {heads} must divide base_channels = {base_channels}"),
    Rule("skip <= noise_step", "skip = {skip} must be at most noise_step = {noise_step}"),
    Rule(
        "adapt_skip <= adapt_noise_step",
        "adapt_skip = {adapt_skip} must be at most adapt_noise_step = {adapt_noise_step}",
    ),
    Rule(
        "noise_step <= noise_levels",
        "noise_step = {noise_step} must be at most noise_levels = {noise_levels}: the denoiser learns "
        "nothing beyond",
    ),
    wide_blur(),
    Rule(
        f"compat or not ({_ADAPTS}) or adapt_noise_step <= noise_levels",
        "adapt_noise_step = {adapt_noise_step} must be at most noise_levels = {noise_levels}: the denoiser "
        "learns nothing beyond",
    ),
    Rule(
        f"not ({_ADAPTS}) or max(feature_strides) <= max(adapt_strides)",
        "feature_strides has {max(feature_strides)}, deeper than anything adapted; give adapt_strides that "
        "too, or set adapt_epochs = 0",
    ),
    Rule(
        f"not ({_ADAPTS}) or adapt_batch_size > 2 or image_size // max(adapt_strides) > 1",
        "adapt_batch_size = {adapt_batch_size} leaves batch norm a single value at stride "
        "{max(adapt_strides)}; make it at least 4",
    ),
)

_DENOISER = Stage(
    "denoiser",
    (
        "image_size",
        "base_channels",
        "heads",
        "dropout",
        "steps",
        "epochs",
        "batch_size",
        "lr",
        "weight_decay",
        "noise_levels",
    ),
    version=2,
)
_ADAPTATION = (
    *("backbone", "feature_strides", "adapt_strides", "adapt_steps", "adapt_epochs", "adapt_batch_size"),
    *("adapt_lr", "adapt_weight_decay", "adapt_lambda", "adapt_w", "adapt_noise_step", "adapt_skip"),
    *("adapt_eta", "adapt_same", "compat"),
)
_TRAJECTORY = ("noise_step", "skip", "eta")
_SCORE = ("w", "v", "blur_sigma", "scale_images", "compat_batch", "score_bfloat16")

STAGES: tuple[Stage, ...] = (
    _DENOISER,
    Stage("features", _ADAPTATION, version=2),
    Stage("score", (*_TRAJECTORY, *_SCORE), version=2),
)
# As published, the backbone is adapted to what the test's own trajectory makes of images.
_COMPAT_STAGES: tuple[Stage, ...] = (
    _DENOISER,
    Stage("features", (*_ADAPTATION, *_TRAJECTORY), version=2),
    Stage("score", _SCORE, version=2),
)
# Batch norm keeps the batches of the adaptation whole, and the scale is a matter of seconds.
PARALLEL = ("denoiser",)

STAGES_WHEN: tuple[tuple[str, tuple[Stage, ...]], ...] = (("compat", _COMPAT_STAGES),)

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 50, "high": 400, "step": 25},
    "w": {"low": 0.0, "high": 12.0},
}

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; ten or more network calls an image to score"
PAPER = Paper(
    title="Anomaly Detection with Conditioned Denoising Diffusion Models",
    authors="Arian Mousakhan, Thomas Brox, Jawad Tayyub",
    year=2023,
    url="https://arxiv.org/abs/2305.15956",
)
