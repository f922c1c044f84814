"""What can be set about AnoDDPM, in which stage it matters, and what is worth searching; imports no torch."""

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
    """Settings of AnoDDPM; the defaults are those published at 256 px."""

    image_size: fields.UNetImageSize = 256
    base_channels: fields.UNetChannels = 128
    multipliers: fields.UNetMultipliers = None
    residual_blocks: fields.UNetBlocks = 2
    attention: fields.UNetAttention = (32, 16, 8)
    heads: fields.Heads = 2
    dropout: fields.Dropout = 0.0
    schedule: fields.Schedule = "linear"
    noise: Annotated[
        Literal["simplex", "gauss", "mixed"],
        Field(description="what images are noised with; mixed tosses a coin for each image and step"),
    ] = "simplex"
    octaves: fields.Octaves = 6
    persistence: fields.Persistence = 0.8
    wavelength: fields.Wavelength = 64.0
    standardise: fields.Standardise = False
    noise_pool: fields.NoisePool = 64
    steps: fields.Steps = 300_000
    batch_size: fields.BatchSize = 1
    lr: fields.AdamWLearningRate = 1e-4
    weight_decay: fields.WeightDecay = 0.0
    clip: Annotated[float, Field(gt=0.0, le=1e6, description="largest norm of all gradients together")] = 1.0
    ema: fields.Ema = 0.9999
    noise_levels: fields.NoiseLevels = 800
    loss: Annotated[Literal["l2", "l1"], Field(description="distance of predicted and true noise")] = "l2"
    level_weight: Annotated[
        Literal["uniform", "proportional"],
        Field(description="draw noise levels evenly, or the low ones more often and weigh them less"),
    ] = "uniform"
    noise_step: fields.NoiseStep = 250
    skip: Annotated[
        int, Field(ge=1, le=1000, description="steps from one call of the network to the next; published: 1")
    ] = 1
    reverse_noise: Annotated[
        Literal["same", "gauss"], Field(description="noise added on the way back; published: the same kind")
    ] = "same"
    repeats: fields.Repeats = 1
    blur_sigma: fields.BlurSigma = 4.0
    image_score: fields.MaxOrTop = "max"

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES = (
    Rule("base_channels % heads == 0", "heads = {heads} must divide base_channels = {base_channels}"),
    Rule("skip <= noise_step", "skip = {skip} must be at most noise_step = {noise_step}"),
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
            *("image_size", "base_channels", "multipliers", "residual_blocks", "attention"),
            *("heads", "dropout"),
            *("schedule", "noise", "octaves", "persistence", "wavelength", "standardise", "noise_pool"),
            *("steps", "batch_size", "lr", "weight_decay", "clip", "ema", "noise_levels", "loss"),
            "level_weight",
        ),
        version=2,
    ),
    Stage("score", ("noise_step", "skip", "reverse_noise", "repeats", "blur_sigma", "image_score")),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well. The noise is fine, as a network
    # learns in so few steps to tell it from a picture.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "multipliers": [1, 1, 2],
        "residual_blocks": 1,
        "attention": [],
        "heads": 2,
        "octaves": 2,
        "wavelength": 4.0,
        "noise_pool": 32,
        "steps": 60,
        "batch_size": 4,
        "lr": 2e-3,
        "ema": 0.9,
        "noise_levels": 100,
        "noise_step": 100,
        "skip": 50,
        "blur_sigma": 1.0,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 32,
        "wavelength": 32.0,
        "steps": 400,
        "batch_size": 8,
        "lr": 1e-3,
        "ema": 0.99,
        "noise_levels": 300,
        "noise_step": 200,
        "skip": 25,
        "blur_sigma": 2.0,
    },
    # As published for 300,000 pictures of 256 px, one at a time; a day on a GPU.
    "paper": {},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 50, "high": 300, "step": 25},
    "blur_sigma": {"low": 0.0, "high": 6.0},
}

PAPER = Paper(
    title="AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex Noise",
    authors="Julian Wyatt, Adam Leach, Sebastian M. Schmon, Chris G. Willcocks",
    year=2022,
    url="https://doi.org/10.1109/CVPRW56347.2022.00080",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; up to 250 network calls an image to score"
