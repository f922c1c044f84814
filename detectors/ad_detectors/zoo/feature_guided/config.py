"""What can be set about feature guidance, in which stage it matters; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur

NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of feature guidance; the defaults are ours, since the publication's could not be read."""

    image_size: fields.UNetImageSize = 256
    backbone: fields.Backbone = "tf_efficientnet_lite0"
    embed_layer: Annotated[
        Literal[4, 8, 16, 32], Field(description="stride of the feature map that leads the way back")
    ] = 16
    embed_grid: Annotated[
        Literal[1, 2, 4],
        Field(description="places, across, to which that map is averaged; more tell, and leak, more"),
    ] = 1
    map_layers: Annotated[
        tuple[Literal[2, 4, 8, 16, 32], ...],
        Field(min_length=1, max_length=4, description="strides of the features that images are compared by"),
    ] = (8, 16)
    guidance: Annotated[
        Literal["embed", "grad"],
        Field(
            description="tell the U-Net the features, or follow the gradient of their distance, which needs "
            "no training for it"
        ),
    ] = "embed"
    base_channels: fields.UNetChannels = 64
    multipliers: fields.UNetMultipliers = None
    residual_blocks: fields.UNetBlocks = 2
    attention: fields.UNetAttention = (16, 8)
    head_channels: fields.HeadChannels = 32
    embed_drop: Annotated[
        float,
        Field(ge=0.0, le=0.9, description="share of images in training whose features are not told"),
    ] = 0.1
    noise_levels: fields.NoiseLevels = 1000
    steps: fields.Steps = 15_000
    batch_size: fields.BatchSize = 16
    lr: fields.AdamWLearningRate = 1e-4
    ema: fields.Ema = 0.9999
    noise_step: fields.NoiseStep = 500
    calls: Annotated[int, Field(ge=1, le=1000, description="of the U-Net for a reconstruction, by DDIM")] = 25
    eta: Annotated[
        float, Field(ge=0.0, le=1.0, description="fresh noise of DDIM: 0 is none, 1 that of DDPM")
    ] = 0.0
    embed_strength: Annotated[
        float,
        Field(
            ge=0.0,
            le=10.0,
            description="by how much more than told the features count, with guidance = embed; above 0 the "
            "U-Net is called twice",
        ),
    ] = 0.0
    grad_scale: Annotated[
        float, Field(ge=0.0, le=100.0, description="weight of the gradient, with guidance = grad")
    ] = 1.0
    repeats: Annotated[
        int, Field(ge=1, le=64, description="reconstructions over which the distances are averaged")
    ] = 1
    pixel_weight: Annotated[float, Field(ge=0.0, le=100.0, description="of the distance of pixels")] = 1.0
    feature_weight: Annotated[float, Field(ge=0.0, le=100.0, description="of the distance of features")] = 1.0
    scale_images: Annotated[
        int,
        Field(ge=1, le=10_000, description="normal images on which both distances are scaled to be alike"),
    ] = 32
    blur_sigma: fields.BlurSigma = 4.0
    image_score: fields.MaxOrTop = "max"

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES = (
    Rule(
        "noise_step <= noise_levels",
        "noise_step = {noise_step} must be at most noise_levels = {noise_levels}: the denoiser learns "
        "nothing beyond",
    ),
    Rule("calls <= noise_step", "calls = {calls} must be at most noise_step = {noise_step}"),
    Rule(
        "pixel_weight + feature_weight > 0.0",
        "pixel_weight and feature_weight are both 0, so every map would be: give one of them a weight",
    ),
    Rule(
        "image_size // embed_layer >= embed_grid",
        "embed_grid = {embed_grid} is finer than the map of stride {embed_layer}, which has "
        "{image_size // embed_layer} places across",
    ),
    wide_blur(),
)

STAGES: tuple[Stage, ...] = (
    Stage("features", ("image_size", "backbone", "embed_layer", "embed_grid", "map_layers")),
    Stage(
        "denoiser",
        (
            *("guidance", "base_channels", "multipliers", "residual_blocks", "attention", "head_channels"),
            *("embed_drop", "noise_levels", "steps", "batch_size", "lr", "ema"),
        ),
    ),
    Stage(
        "score",
        (
            *("noise_step", "calls", "eta", "embed_strength", "grad_scale", "repeats"),
            *("pixel_weight", "feature_weight", "scale_images", "blur_sigma", "image_score"),
        ),
    ),
)

DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "embed_layer": 8,
        "map_layers": [4],
        "base_channels": 32,
        "multipliers": [1, 1, 2],
        "residual_blocks": 1,
        "attention": [],
        "noise_levels": 60,
        "steps": 30,
        "batch_size": 4,
        "lr": 2e-3,
        "ema": 0.9,
        "noise_step": 30,
        "calls": 2,
        "scale_images": 8,
        "blur_sigma": 0.5,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "map_layers": [4, 8],
        "base_channels": 32,
        "noise_levels": 500,
        "steps": 400,
        "batch_size": 8,
        "lr": 1e-3,
        "ema": 0.99,
        "noise_step": 300,
        "calls": 10,
        "blur_sigma": 2.0,
    },
    # What the publication is taken to mean, not its numbers: nothing of it but its idea could be read.
    "paper": {"backbone": "resnet18.tv_in1k"},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 100, "high": 500, "step": 50},
    "pixel_weight": {"low": 0.0, "high": 2.0},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

PAPER = Paper(
    title="Unsupervised industrial anomaly detection with diffusion models (only its idea: see the page)",
    authors="Haohao Xu, Shuchang Xu, Wenzhen Yang",
    year=2023,
    url="https://doi.org/10.1016/j.jvcir.2023.103983",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for good quality; 25 network calls an image, with gradients thrice as dear"
