"""What can be set about patched DDPM, in which stage it matters, and what to search; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur

DEFAULT_PRESET = "small"
NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of patched DDPM; the defaults are those published for slices of 96 px."""

    image_size: Annotated[
        int,
        Field(ge=16, le=512, multiple_of=16, description="side, in pixels, to which images are resized"),
    ] = 96
    patch_size: Annotated[int, Field(ge=4, le=512, description="side, in pixels, of what is noised")] = 48
    boxes: Annotated[
        Literal["grid", "random"],
        Field(description="where training noises: in patches side by side, or anywhere"),
    ] = "grid"
    base_channels: fields.UNetChannels = 128
    multipliers: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8)], ...],
        Field(min_length=1, max_length=6, description="widths of the U-Net's levels, in base channels"),
    ] = (1, 2, 2)
    residual_blocks: fields.UNetBlocks = 3
    head_channels: Annotated[
        Literal[16, 32, 64],
        Field(description="width of an attention head; the smallest maps alone have some"),
    ] = 64
    dropout: fields.Dropout = 0.0
    schedule: Annotated[
        Literal["cosine", "linear"], Field(description="how the noise grows over the 1000 steps")
    ] = "cosine"
    noise: Annotated[
        Literal["simplex", "gauss", "mixed"],
        Field(description="what patches are noised with; mixed tosses a coin for each image and step"),
    ] = "simplex"
    octaves: fields.Octaves = 6
    persistence: fields.Persistence = 0.8
    wavelength: fields.Wavelength = 64.0
    standardise: fields.Standardise = False
    noise_pool: fields.NoisePool = 64
    steps: fields.Steps = 20_800
    batch_size: fields.BatchSize = 32
    lr: fields.AdamLearningRate = 1e-4
    ema: Annotated[
        float,
        Field(
            ge=0.0, le=0.999999, description="share of the mean weights that stays at each step; 0: no mean"
        ),
    ] = 0.0
    noise_levels: fields.NoiseLevels = 1000
    loss: Annotated[Literal["l1", "l2"], Field(description="distance of restored and true pixels")] = "l1"
    noise_step: Annotated[
        int,
        Field(ge=1, le=1000, description="step of 1000 at which a patch is noised, then restored at once"),
    ] = 500
    stride: Annotated[
        int | None,
        Field(ge=1, le=512, description="pixels from one patch to the next; null: side by side"),
    ] = None
    joining: Annotated[
        Literal["cut", "average"],
        Field(description="where patches overlap: take the one with the nearest centre, or the mean of all"),
    ] = "cut"
    repeats: Annotated[
        int, Field(ge=1, le=64, description="restorations over which the difference is averaged")
    ] = 1
    difference: Annotated[
        Literal["absolute", "squared"], Field(description="of image and restoration, as shares of the range")
    ] = "absolute"
    median: Annotated[
        Literal[1, 3, 5, 7], Field(description="side of the median filter of the map, in pixels; 1: none")
    ] = 5
    blur_sigma: Annotated[
        float,
        Field(ge=0.0, le=32.0, description="Gaussian blur of the map after that, in pixels of image_size"),
    ] = 0.0
    image_score: Annotated[
        Literal["max", "mean"], Field(description="largest value of the map, or its mean, as published")
    ] = "max"

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES = (
    Rule(
        "base_channels % head_channels == 0",
        "head_channels = {head_channels} must divide base_channels = {base_channels}",
    ),
    Rule(
        "patch_size <= image_size",
        "patch_size = {patch_size} must be at most image_size = {image_size}",
    ),
    Rule(
        "stride is None or stride <= patch_size",
        "stride = {stride} must be at most patch_size = {patch_size}: there would be gaps",
    ),
    Rule(
        "noise_step <= noise_levels",
        "noise_step = {noise_step} must be at most noise_levels = {noise_levels}: the denoiser learns "
        "nothing beyond",
    ),
    wide_blur(),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "denoiser",
        (
            *("image_size", "patch_size", "boxes"),
            *("base_channels", "multipliers", "residual_blocks", "head_channels", "dropout"),
            *("schedule", "noise", "octaves", "persistence", "wavelength", "standardise", "noise_pool"),
            *("steps", "batch_size", "lr", "ema", "noise_levels", "loss"),
        ),
        version=2,
    ),
    Stage(
        "score",
        (
            *("noise_step", "stride", "joining", "repeats"),
            *("difference", "median", "blur_sigma", "image_score"),
        ),
    ),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "patch_size": 16,
        "base_channels": 32,
        "multipliers": [1, 1],
        "residual_blocks": 1,
        "head_channels": 32,
        "octaves": 2,
        "wavelength": 8.0,
        "noise_pool": 16,
        "steps": 40,
        "batch_size": 2,
        "lr": 4e-3,
        "ema": 0.9,
        "noise_levels": 300,
        "noise_step": 300,
        "median": 3,
        "blur_sigma": 0.5,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "patch_size": 32,
        "base_channels": 32,
        "multipliers": [1, 2, 2, 2],
        "residual_blocks": 1,
        "head_channels": 32,
        "wavelength": 32.0,
        "steps": 400,
        "batch_size": 8,
        "lr": 1e-3,
        "ema": 0.99,
        "blur_sigma": 1.0,
    },
    # As published for brain scans, in colour: 1600 epochs of some 400 slices; hours on a GPU.
    "paper": {"image_score": "mean"},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 200, "high": 800, "step": 50},
    "blur_sigma": {"low": 0.0, "high": 4.0},
}

PAPER = Paper(
    title="Patched Diffusion Models for Unsupervised Anomaly Detection in Brain MRI",
    authors="Finn Behrendt, Debayan Bhattacharya, Julia Krüger, Roland Opfer, Alexander Schlaefer",
    year=2023,
    url="https://arxiv.org/abs/2303.03758",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; a network call for each patch of an image"
