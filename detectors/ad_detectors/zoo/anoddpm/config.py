"""What can be set about AnoDDPM, in which stage it matters, and what is worth searching; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

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

    image_size: Annotated[
        Literal[32, 64, 128, 256], Field(description="side, in pixels, to which images are resized")
    ] = 256
    base_channels: Annotated[
        int, Field(ge=32, le=256, multiple_of=32, description="U-Net channels at full size")
    ] = 128
    multipliers: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8)], ...] | None,
        Field(
            min_length=1,
            max_length=6,
            description="widths of the U-Net's levels, in base channels; null: as published for the size",
        ),
    ] = None
    residual_blocks: Annotated[int, Field(ge=1, le=4, description="of each level of the U-Net")] = 2
    attention: Annotated[
        tuple[Literal[8, 16, 32], ...],
        Field(max_length=3, description="sides, in pixels, of the maps with attention besides the smallest"),
    ] = (32, 16, 8)
    heads: Annotated[int, Field(ge=1, le=32, description="attention heads")] = 2
    dropout: Annotated[float, Field(ge=0.0, le=0.9, description="in training only")] = 0.0
    schedule: Annotated[
        Literal["linear", "cosine"], Field(description="how the noise grows over the 1000 steps")
    ] = "linear"
    noise: Annotated[
        Literal["simplex", "gauss", "mixed"],
        Field(description="what images are noised with; mixed tosses a coin for each image and step"),
    ] = "simplex"
    octaves: Annotated[int, Field(ge=1, le=12, description="of the simplex noise, each twice as fine")] = 6
    persistence: Annotated[
        float, Field(gt=0.0, le=1.0, description="strength of an octave beside the one before it")
    ] = 0.8
    wavelength: Annotated[
        float,
        Field(ge=2.0, le=512.0, description="of the first octave, in pixels; published as a frequency"),
    ] = 64.0
    standardise: Annotated[
        bool, Field(description="scale simplex noise to deviation 1; as published it has about 0.5")
    ] = False
    noise_pool: Annotated[
        int,
        Field(ge=0, le=4096, description="simplex fields that training takes pieces of; 0 draws fresh ones"),
    ] = 64
    steps: Annotated[int, Field(ge=1, le=10_000_000, description="optimiser steps")] = 300_000
    batch_size: Annotated[int, Field(ge=1, le=1024, description="images per optimiser step")] = 1
    lr: Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of AdamW")] = 1e-4
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0, description="decoupled, as in AdamW")] = 0.0
    clip: Annotated[float, Field(gt=0.0, le=1e6, description="largest norm of all gradients together")] = 1.0
    ema: Annotated[
        float, Field(ge=0.0, le=0.999999, description="share of the mean weights that stays at each step")
    ] = 0.9999
    noise_levels: Annotated[
        int, Field(ge=1, le=1000, description="of 1000 noise steps the lowest, which are trained")
    ] = 800
    loss: Annotated[Literal["l2", "l1"], Field(description="distance of predicted and true noise")] = "l2"
    level_weight: Annotated[
        Literal["uniform", "proportional"],
        Field(description="draw noise levels evenly, or the low ones more often and weigh them less"),
    ] = "uniform"
    noise_step: Annotated[
        int, Field(ge=1, le=1000, description="steps of 1000 by which an image is noised, then brought back")
    ] = 250
    skip: Annotated[
        int, Field(ge=1, le=1000, description="steps from one call of the network to the next; published: 1")
    ] = 1
    reverse_noise: Annotated[
        Literal["same", "gauss"], Field(description="noise added on the way back; published: the same kind")
    ] = "same"
    repeats: Annotated[
        int, Field(ge=1, le=64, description="reconstructions over which the error is averaged")
    ] = 1
    blur_sigma: Annotated[
        float, Field(ge=0.0, le=32.0, description="Gaussian blur of the map, in pixels of image_size")
    ] = 4.0
    image_score: Annotated[
        Literal["max", "top"], Field(description="largest value of the map, or mean of its largest hundredth")
    ] = "max"

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
