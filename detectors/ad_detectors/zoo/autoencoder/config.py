"""What can be set about the autoencoder, in which stage it matters; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the autoencoder."""

    image_size: Annotated[
        int,
        Field(ge=32, le=1024, multiple_of=16, description="side, in pixels, to which images are resized"),
    ] = 128
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=2048)], ...],
        Field(min_length=1, max_length=6, description="channels after each halving of the sides"),
    ] = (32, 64, 128, 256)
    latent: Annotated[int, Field(ge=1, le=2048, description="channels of the narrowest place")] = 128
    loss: Annotated[
        Literal["l2", "l1", "ssim", "l2+ssim"],
        Field(description="what is learnt to be small: squared or absolute difference, 1 - SSIM, or a sum"),
    ] = "l2"
    steps: fields.StepsOrEpochs = None
    epochs: fields.Epochs = 200
    batch_size: fields.BatchSize = 16
    lr: fields.AdamLearningRate = 1e-3
    weight_decay: fields.CoupledWeightDecay = 1e-5
    measure: Annotated[
        Literal["l2", "l1", "ssim"],
        Field(description="the map: squared or absolute difference, or 1 - SSIM, over the channels' mean"),
    ] = "l2"
    image_score: Annotated[
        Literal["max", "mean"], Field(description="the largest value of the map, or its mean")
    ] = "max"
    blur_sigma: fields.BlurSigma = 4.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES, EXCLUSIVE)

    def train_steps(self, images: int) -> int:
        """Return the optimiser steps."""
        return self.steps or (self.epochs or 0) * max(1, images // self.batch_size)


EXCLUSIVE = (("steps", "epochs"),)

RULES: tuple[Rule, ...] = (
    wide_blur(),
    Rule(
        "image_size % 2 ** len(widths) == 0",
        "image_size = {image_size} cannot be halved {len(widths)} times; give fewer widths, or a multiple of "
        "{2 ** len(widths)}",
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "network",
        (
            *("image_size", "widths", "latent", "loss"),
            *("steps", "epochs", "batch_size", "lr", "weight_decay"),
        ),
    ),
    Stage("score", ("measure", "image_score", "blur_sigma")),
)

DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "widths": [16, 32],
        "latent": 4,
        "steps": 60,
        "epochs": None,
        "batch_size": 8,
        "lr": 5e-3,
        "blur_sigma": 1.0,
    },
    # Minutes on two CPU cores.
    "small": {
        "widths": [16, 32, 64, 64],
        "latent": 32,
        "steps": 800,
        "epochs": None,
        "blur_sigma": 2.0,
    },
    # As the repository that it follows trains it: size, loss, optimiser, epochs and batch.
    "paper": {"image_size": 256, "epochs": 5, "batch_size": 128, "lr": 1e-4},
}

SPACE: dict[str, dict[str, Any]] = {
    "latent": {"low": 4, "high": 256, "log": True},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

FAMILY = "reconstruction"
COST = "minutes on two CPU cores; a few milliseconds an image"

PAPER = Paper(
    title="Improving Unsupervised Defect Segmentation by Applying Structural Similarity to Autoencoders",
    authors="Paul Bergmann, Sindy Loewe, Michael Fauser, David Sattlegger, Carsten Steger",
    year=2019,
    url="https://arxiv.org/abs/1807.02011",
)

NO_EXPORT = ""
