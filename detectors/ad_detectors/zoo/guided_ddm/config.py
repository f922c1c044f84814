"""What can be set about rebuilding by a ready diffusion model, and in which stage; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check

NO_WEIGHTS = "none"
PUBLISHED_FILE = "256x256_diffusion_uncond.pt"
SOURCE = f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/{PUBLISHED_FILE}"
NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the reconstruction by a ready model; the defaults fit the published weights."""

    image_size: fields.UNetImageSize = 256
    base_channels: fields.UNetChannels = 256
    multipliers: fields.UNetMultipliers = None
    residual_blocks: fields.UNetBlocks = 2
    attention: fields.UNetAttention = (32, 16, 8)
    head_channels: fields.HeadChannels = 64
    weights: Annotated[
        str,
        Field(
            min_length=1,
            description="file of weights in the names of guided-diffusion, by path or in ADCTL_WEIGHTS; "
            "'none' starts with an untrained network, which steps must train",
        ),
    ] = PUBLISHED_FILE
    steps: Annotated[
        int,
        Field(ge=0, le=10_000_000, description="optimiser steps on the normal images; 0, as published: none"),
    ] = 0
    batch_size: fields.BatchSize = 4
    lr: fields.AdamWLearningRate = 1e-5
    noise_levels: Annotated[
        int, Field(ge=1, le=1000, description="of 1000 noise steps the lowest, which steps train")
    ] = 1000
    stretch: Annotated[
        bool, Field(description="stretch each image to the whole range of values, as published")
    ] = True
    noise_step: Annotated[
        int, Field(ge=1, le=900, description="step of 1000 about which an image is noised, then rebuilt")
    ] = 250
    jitter: Annotated[
        float, Field(ge=0.0, le=0.5, description="share by which noise_step varies between reconstructions")
    ] = 0.1
    calls: Annotated[
        int,
        Field(ge=0, le=1000, description="of the network for a reconstruction; 0, as published: every step"),
    ] = 25
    sampler: Annotated[
        Literal["ddpm", "ddim"], Field(description="with fresh noise at each step, as published, or without")
    ] = "ddpm"
    repeats: fields.Repeats = 16
    kernel_size: Annotated[
        Literal[1, 3, 5, 7, 9, 11, 15],
        Field(description="side of the Gaussian window that the error is averaged over; 1 averages none"),
    ] = 7
    blur_sigma: Annotated[float, Field(gt=0.0, le=32.0, description="of that window, in pixels")] = 1.4
    compat: Annotated[
        bool, Field(description="start a step below the noise, as the published code does by mistake")
    ] = False

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES = (
    Rule(
        "base_channels % head_channels == 0",
        "head_channels = {head_channels} must divide base_channels = {base_channels}",
    ),
    Rule(
        f"weights != '{NO_WEIGHTS}' or steps > 0",
        f"weights = {NO_WEIGHTS} starts with an untrained network: give steps to train it",
    ),
    Rule(
        "calls <= int(noise_step * (1.0 - jitter))",
        "calls = {calls} must be at most {int(noise_step * (1.0 - jitter))}, the fewest steps that "
        "noise_step and jitter leave",
    ),
    Rule(
        "steps == 0 or noise_step * (1.0 + jitter) <= noise_levels",
        "noise_step = {noise_step} with its jitter must be at most noise_levels = {noise_levels}: steps "
        "train nothing beyond",
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "denoiser",
        (
            *("image_size", "base_channels", "multipliers", "residual_blocks", "attention", "head_channels"),
            *("weights", "steps", "batch_size", "lr", "noise_levels", "stretch"),
        ),
    ),
    Stage(
        "score",
        (
            *("noise_step", "jitter", "calls", "sampler", "repeats", "kernel_size", "blur_sigma"),
            "compat",
        ),
    ),
)

DEFAULT_PRESET = "small"
PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core, with a network that is taught here: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "multipliers": [1, 1, 2],
        "residual_blocks": 1,
        "attention": [],
        "head_channels": 32,
        "weights": NO_WEIGHTS,
        "steps": 40,
        "lr": 2e-3,
        "noise_levels": 100,
        "noise_step": 80,
        "calls": 2,
        "repeats": 2,
    },
    # The published weights with fewer steps and reconstructions: a hundredth of the cost; wants a GPU.
    "small": {"calls": 10, "repeats": 4},
    # As published: 16 reconstructions of some 250 steps.
    "paper": {"calls": 0, "compat": True},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 100, "high": 400, "step": 50},
    "repeats": {"low": 4, "high": 16, "step": 4},
}

PAPER = Paper(
    title="Diffusion Models Beat GANs on Image Synthesis (the model; used for anomalies as in MAEDAY)",
    authors="Prafulla Dhariwal, Alex Nichol",
    year=2021,
    url="https://arxiv.org/abs/2105.05233",
)

FAMILY = "diffusion"
COST = "no training with a ready model; 40 to 4,000 calls of a very large network an image"
