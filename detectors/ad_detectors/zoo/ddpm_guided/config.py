"""What can be set about guided DDIM, in which stage it matters, and what is worth searching; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur

SUPERVISED = True
NO_EXPORT = (
    "it follows the gradient of a classifier at every step, and files of ONNX or OpenVINO hold no gradients"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of guided DDIM; the defaults are those published at 256 px."""

    image_size: fields.UNetImageSize = 256
    labels: fields.Labels = "auto"
    base_channels: fields.UNetChannels = 128
    multipliers: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8)], ...] | None,
        Field(
            min_length=1,
            max_length=6,
            description="widths of the levels of both networks, in base channels; null: as published for the "
            "size",
        ),
    ] = None
    residual_blocks: fields.UNetBlocks = 2
    attention: fields.UNetAttention = (16,)
    heads: Annotated[int, Field(ge=1, le=32, description="attention heads of the U-Net")] = 1
    noise_levels: Annotated[
        int, Field(ge=1, le=1000, description="of 1000 noise steps the lowest, which both networks learn")
    ] = 1000
    steps: Annotated[int, Field(ge=1, le=10_000_000, description="optimiser steps of the U-Net")] = 60_000
    batch_size: fields.HalfAnomalousBatchSize = 10
    lr: fields.AdamWLearningRate = 1e-4
    ema: fields.Ema = 0.9999
    classifier_channels: Annotated[
        int, Field(ge=32, le=256, multiple_of=32, description="classifier channels at full size")
    ] = 32
    classifier_blocks: Annotated[int, Field(ge=1, le=4, description="of each level of the classifier")] = 4
    classifier_attention: Annotated[
        tuple[Literal[8, 16, 32], ...],
        Field(max_length=3, description="as attention, of the classifier"),
    ] = (32, 16, 8)
    classifier_steps: Annotated[
        int | None,
        Field(ge=1, le=10_000_000, description="optimiser steps of the classifier; null: as many as steps"),
    ] = None
    classifier_lr: Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of its Adam")] = 1e-4
    noise_step: Annotated[
        int, Field(ge=3, le=1000, description="steps of 1000 by which an image is turned to noise")
    ] = 500
    skip: Annotated[
        int, Field(ge=1, le=999, description="steps from one call of the network to the next; published: 1")
    ] = 1
    guidance: Annotated[
        float, Field(ge=0.0, le=1e5, description="weight of the classifier's gradient; 0 ignores it")
    ] = 100.0
    encode_as: Annotated[
        Literal["normal", "anomalous"],
        Field(description="class that the U-Net is told on the way to noise; published: normal"),
    ] = "normal"
    difference: Annotated[
        Literal["absolute", "stretched"],
        Field(description="of images as they are, or of each stretched to the same range first"),
    ] = "absolute"
    blur_sigma: fields.BlurSigma = 4.0
    image_score: Annotated[
        Literal["max", "top", "mean"],
        Field(description="of the map the largest value, the mean of its largest hundredth, or the mean"),
    ] = "max"
    compat: Annotated[
        bool, Field(description="noise the image first and start back two steps low, as the published code")
    ] = False

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)

    @property
    def steps_of_classifier(self) -> int:
        """Return how many optimiser steps the classifier makes."""
        return self.steps if self.classifier_steps is None else self.classifier_steps


RULES = (
    Rule("base_channels % heads == 0", "heads = {heads} must divide base_channels = {base_channels}"),
    Rule("skip < noise_step", "skip = {skip} must be less than noise_step = {noise_step}"),
    Rule(
        "noise_step <= noise_levels",
        "noise_step = {noise_step} must be at most noise_levels = {noise_levels}: nothing is learnt beyond",
    ),
    wide_blur(),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "denoiser",
        (
            *("image_size", "labels", "base_channels", "multipliers", "residual_blocks", "attention"),
            *("heads", "noise_levels", "steps", "batch_size", "lr", "ema"),
        ),
    ),
    Stage(
        "classifier",
        (
            *("classifier_channels", "classifier_blocks", "classifier_attention", "classifier_steps"),
            "classifier_lr",
        ),
    ),
    Stage(
        "score",
        (
            *("noise_step", "skip", "guidance", "encode_as", "difference", "blur_sigma", "image_score"),
            "compat",
        ),
    ),
)

DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well. So little noise, as a network learns
    # in so few steps to tell it from a picture; the classifier learns nothing.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "multipliers": [1, 1, 2],
        "residual_blocks": 1,
        "attention": [],
        "noise_levels": 60,
        "steps": 30,
        "batch_size": 4,
        "lr": 2e-3,
        "ema": 0.9,
        "classifier_blocks": 1,
        "classifier_attention": [],
        "classifier_steps": 3,
        "classifier_lr": 1e-3,
        "noise_step": 31,
        "skip": 15,
        "blur_sigma": 0.5,
        "image_score": "top",
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 32,
        "noise_levels": 300,
        "steps": 400,
        "batch_size": 8,
        "lr": 1e-3,
        "ema": 0.99,
        "classifier_blocks": 1,
        "classifier_steps": 1200,
        "classifier_lr": 5e-4,
        "noise_step": 200,
        "skip": 20,
        "blur_sigma": 2.0,
    },
    # As published, for a map of one number a pixel: a thousand calls and five hundred gradients an image.
    "paper": {"classifier_steps": 150_000, "compat": True, "blur_sigma": 0.0},
}

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 100, "high": 500, "step": 50},
    "guidance": {"low": 1.0, "high": 1000.0, "log": True},
    "blur_sigma": {"low": 0.0, "high": 6.0},
}

PAPER = Paper(
    title="Diffusion Models for Medical Anomaly Detection",
    authors="Julia Wolleb, Florentin Bieder, Robin Sandkuehler, Philippe C. Cattin",
    year=2022,
    url="https://arxiv.org/abs/2203.04306",
)

FAMILY = "diffusion"
COST = (
    "hours of training on a GPU for published quality; up to 1000 network calls an image, half with gradients"
)
