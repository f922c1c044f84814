"""What can be set about AdvRAD, in which stage it matters, and what is worth searching; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check

DEFAULT_PRESET = "small"
NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)

NO_ATTACK = ""  # its score has a gradient


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of AdvRAD; the defaults are those of the network and the training at 256 px."""

    image_size: fields.UNetImageSize = 256
    base_channels: fields.UNetChannels = 128
    multipliers: fields.UNetMultipliers = None
    residual_blocks: fields.UNetBlocks = 2
    attention: fields.UNetAttention = (8,)
    heads: fields.Heads = 1
    schedule: fields.Schedule = "linear"
    steps: fields.Steps = 30_000
    batch_size: fields.BatchSize = 2
    lr: Annotated[
        float, Field(gt=0.0, le=1.0, description="learning rate of AdamW, which falls to zero in a line")
    ] = 1e-4
    ema: fields.Ema = 0.9999
    flip: Annotated[bool, Field(description="mirror half of the images that are learnt from")] = True
    noise_levels: fields.NoiseLevels = 1000
    noise_step: Annotated[
        int, Field(ge=1, le=1000, description="of 1000, by how many an image is noised, then restored")
    ] = 75
    shots: Annotated[int, Field(ge=1, le=1000, description="network calls for a restoration; 1: at once")] = 1
    repeats: Annotated[
        int, Field(ge=1, le=64, description="restorations over which the error is averaged")
    ] = 4
    scales: Annotated[
        tuple[Literal[1, 2, 4, 8, 16], ...],
        Field(min_length=1, max_length=5, description="how many times smaller images are compared"),
    ] = (1, 2, 4, 8)
    mean_filter: Annotated[
        Literal[1, 3, 5, 7, 9, 11, 15], Field(description="side of the window that errors are averaged over")
    ] = 3
    image_score: fields.MaxOrTop = "max"

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES = (
    Rule("base_channels % heads == 0", "heads = {heads} must divide base_channels = {base_channels}"),
    Rule("shots <= noise_step", "shots = {shots} must be at most noise_step = {noise_step}"),
    Rule(
        "noise_step <= noise_levels",
        "noise_step = {noise_step} must be at most noise_levels = {noise_levels}: the denoiser learns "
        "nothing beyond",
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "denoiser",
        (
            *("image_size", "base_channels", "multipliers", "residual_blocks", "attention", "heads"),
            *("schedule", "steps", "batch_size", "lr", "ema", "flip", "noise_levels"),
        ),
    ),
    Stage("normal", ("noise_step", "shots", "repeats", "scales", "mean_filter")),
    Stage("score", ("image_score",)),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "multipliers": [1, 1],
        "residual_blocks": 1,
        "attention": [],
        "steps": 60,
        "lr": 4e-3,
        "ema": 0.9,
        "flip": False,
        "noise_levels": 100,
        "noise_step": 75,
        "repeats": 2,
        "scales": [1, 2, 4],
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 32,
        "residual_blocks": 1,
        "steps": 400,
        "batch_size": 8,
        "lr": 1e-3,
        "ema": 0.99,
        "flip": False,
        "noise_levels": 200,
    },
    # As published as far as that is known; hours on a GPU.
    "paper": {},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 25, "high": 150, "step": 25},
    "repeats": {"low": 1, "high": 8},
}

PAPER = Paper(
    title="Adversarially Robust Industrial Anomaly Detection Through Diffusion Model",
    authors="Yuanpu Cao, Lu Lin, Jinghui Chen",
    year=2024,
    url="https://arxiv.org/abs/2408.04839",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; a few network calls an image to score"
