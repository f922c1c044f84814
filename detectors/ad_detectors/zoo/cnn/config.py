"""What can be set about the classifier, in which stage it matters; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur

BLOCKS = 3


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the classifier."""

    image_size: fields.ImageSize = 128
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=2048)], ...],
        Field(min_length=BLOCKS, max_length=BLOCKS, description="channels of the three blocks"),
    ] = (32, 64, 128)
    hidden: Annotated[int, Field(ge=1, le=8192, description="numbers between features and the verdict")] = 256
    grid: Annotated[
        Literal[1, 2, 4], Field(description="places, across, to which the features are averaged")
    ] = 4
    batch_norm: Annotated[bool, Field(description="normalise each block's channels over the batch")] = True
    labels: fields.Labels = "auto"
    steps: fields.StepsOrEpochs = None
    epochs: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="times the whole batches of the normal images")
    ] = 30
    batch_size: fields.HalfAnomalousBatchSize = 32
    lr: fields.AdamLearningRate = 1e-3
    weight_decay: fields.CoupledWeightDecay = 1e-5
    image_score: Annotated[
        Literal["log_odds", "probability"],
        Field(description="of the anomalous class: its log-odds, or the softmax, which ends at 1"),
    ] = "log_odds"
    blur_sigma: fields.BlurSigma = 4.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES, EXCLUSIVE)

    def train_steps(self, images: int) -> int:
        """Return the optimiser steps; a batch holds half as many normal images."""
        return self.steps or (self.epochs or 0) * max(1, images // (self.batch_size // 2))


EXCLUSIVE = (("steps", "epochs"),)

RULES: tuple[Rule, ...] = (wide_blur(),)

STAGES: tuple[Stage, ...] = (
    Stage(
        "network",
        (
            *("image_size", "widths", "hidden", "grid", "batch_norm", "labels"),
            *("steps", "epochs", "batch_size", "lr", "weight_decay"),
        ),
    ),
    Stage("score", ("image_score", "blur_sigma")),
)

DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "widths": [8, 16, 16],
        "hidden": 32,
        "steps": 40,
        "epochs": None,
        "batch_size": 8,
        "lr": 3e-3,
        "blur_sigma": 1.0,
    },
    # Minutes on two CPU cores.
    "small": {"image_size": 128, "widths": [16, 32, 64], "steps": 400, "epochs": None},
    # As the repository that it follows sets it, but for the third block, which that only speaks of.
    "paper": {
        "image_size": 256,
        "batch_norm": False,
        "epochs": 5,
        "batch_size": 128,
        "lr": 1e-4,
        "weight_decay": 0.0,
        "image_score": "probability",
    },
}

SPACE: dict[str, dict[str, Any]] = {
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "blur_sigma": {"low": 0.0, "high": 16.0},
}

FAMILY = "classifier"
SUPERVISED = True
COST = "minutes on two CPU cores; a millisecond or two an image"

PAPER = Paper(
    title="Gradient-Based Learning Applied to Document Recognition",
    authors="Yann LeCun, Leon Bottou, Yoshua Bengio, Patrick Haffner",
    year=1998,
    url="https://doi.org/10.1109/5.726791",
)

NO_EXPORT = ""
