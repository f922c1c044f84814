"""What can be set about AnoGAN, in which stage it matters; imports no torch."""

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
    """Settings of AnoGAN; the defaults are those of its paper, at 64 px."""

    image_size: Annotated[
        Literal[32, 64, 128], Field(description="side, in pixels, to which images are resized")
    ] = 64
    base_channels: Annotated[
        int, Field(ge=4, le=256, description="channels at half the size, doubled with each halving")
    ] = 64
    z_size: Annotated[int, Field(ge=1, le=4096, description="numbers that an image is drawn from")] = 100
    steps: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="steps of both networks, instead of epochs")
    ] = None
    epochs: fields.Epochs = 100
    batch_size: Annotated[int, Field(ge=2, le=1024, description="images per step")] = 16
    lr: Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of Adam, of every network")] = 2e-4
    beta1: Annotated[float, Field(ge=0.0, lt=1.0, description="first moment's decay, of every network")] = 0.5
    real_label: Annotated[
        float,
        Field(gt=0.5, le=1.0, description="what the discriminator shall say of real images; 1 as published"),
    ] = 0.9
    search: Annotated[
        Literal["gradient", "encoder"],
        Field(description="how the nearest drawing is found: step by step, or by a network that guesses it"),
    ] = "gradient"
    encoder_steps: Annotated[
        int, Field(ge=1, le=10_000_000, description="optimiser steps of that network; with gradient none")
    ] = 2000
    kappa: Annotated[
        float, Field(ge=0.0, le=100.0, description="weight of the features in that network's loss")
    ] = 1.0
    search_steps: Annotated[
        int, Field(ge=0, le=100_000, description="steps of a search by gradient; the paper has 500")
    ] = 500
    search_lr: Annotated[float, Field(gt=0.0, le=10.0, description="learning rate of a search")] = 1e-2
    restarts: Annotated[
        int, Field(ge=1, le=100, description="searches from different starts, of which the best counts")
    ] = 1
    keep: Annotated[
        Literal["best", "last"], Field(description="which step of a search counts; the paper takes the last")
    ] = "best"
    weight: Annotated[
        float,
        Field(
            ge=0.0, le=1.0, description="lambda: the share of the discriminator's features in loss and score"
        ),
    ] = 0.1
    reduction: Annotated[
        Literal["mean", "sum"], Field(description="over pixels and features; the paper sums")
    ] = "mean"
    z_penalty: Annotated[
        float, Field(ge=0.0, le=100.0, description="weight of z's mean square in a search; 0 as published")
    ] = 0.0
    image_score: Annotated[
        Literal["loss", "max"],
        Field(description="the loss of the drawing, as published, or the map's maximum"),
    ] = "loss"
    blur_sigma: fields.BlurSigma = 1.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES, EXCLUSIVE)

    def train_steps(self, images: int) -> int:
        """Return the steps of generator and discriminator."""
        return self.steps or (self.epochs or 0) * max(1, images // self.batch_size)

    @property
    def guessing_steps(self) -> int:
        """Return the steps of the encoder; none where nothing is guessed."""
        return self.encoder_steps if self.search == "encoder" else 0


EXCLUSIVE = (("steps", "epochs"),)

RULES: tuple[Rule, ...] = (wide_blur(),)

STAGES: tuple[Stage, ...] = (
    Stage(
        "generator",
        (
            *("image_size", "base_channels", "z_size", "steps", "epochs"),
            *("batch_size", "lr", "beta1", "real_label"),
        ),
    ),
    Stage("encoder", ("search", "encoder_steps", "kappa")),
    Stage(
        "score",
        (
            *("search_steps", "search_lr", "restarts", "keep", "weight", "reduction", "z_penalty"),
            *("image_score", "blur_sigma"),
        ),
    ),
)

DEFAULT_PRESET = "small"

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 8,
        "z_size": 4,
        "steps": 120,
        "epochs": None,
        "batch_size": 8,
        "lr": 2e-3,
        "encoder_steps": 20,
        "search_steps": 20,
        "search_lr": 0.1,
        "image_score": "max",
        "blur_sigma": 0.5,
    },
    # Minutes on two CPU cores.
    "small": {
        "base_channels": 16,
        "steps": 1500,
        "epochs": None,
        "encoder_steps": 500,
        "search_steps": 100,
        "search_lr": 0.05,
    },
    # As published, where that says anything; every step of a search costs a call of both networks, and back.
    "paper": {"real_label": 1.0, "keep": "last", "reduction": "sum", "blur_sigma": 0.0},
    # f-AnoGAN's way of finding the drawing, on the same networks.
    "encoder": {"search": "encoder"},
}

SPACE: dict[str, dict[str, Any]] = {
    "weight": {"low": 0.0, "high": 1.0},
    "search_lr": {"low": 1e-3, "high": 0.3, "log": True},
    "blur_sigma": {"low": 0.0, "high": 4.0},
}

FAMILY = "adversarial"
COST = "minutes to hours of training; hundreds of network calls, and back, an image, or one with an encoder"

PAPER = Paper(
    title="Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker Discovery",
    authors="Thomas Schlegl, Philipp Seeboeck, Sebastian Waldstein, Ursula Schmidt-Erfurth, Georg Langs",
    year=2017,
    url="https://arxiv.org/abs/1703.05921",
)

NO_EXPORT = (
    "its nearest drawing is searched for step by step along a gradient, from a start that is drawn from the "
    "SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO computes"
)
