"""What can be set about DTE, in which stage it matters; imports no torch."""

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
    """Settings of DTE; the network and its training are as published, the features are of patches."""

    image_size: fields.ImageSize = 256
    backbone: fields.Backbone = "tf_efficientnet_lite0"
    layers: Annotated[
        tuple[Literal[2, 4, 8, 16, 32] | str, ...],
        Field(min_length=1, max_length=8, description="maps of a vector, by stride or by timm's name"),
    ] = (8, 16)
    grid_stride: Annotated[Literal[4, 8, 16, 32], Field(description="pixels from one patch to the next")] = 8
    neighbourhood: fields.Neighbourhood = 3
    level: Annotated[
        Literal["patch", "image"],
        Field(description="a vector for each patch, or, as published, one for the image: their mean"),
    ] = "patch"
    vectors: Annotated[
        int, Field(ge=1, le=10_000_000, description="most vectors to learn from, of each image as many")
    ] = 50_000
    estimator: Annotated[
        Literal["categorical", "gaussian", "inverse_gamma", "nonparametric"],
        Field(description="how time is estimated: by its bin, its mean, its distribution, or by neighbours"),
    ] = "categorical"
    noise_levels: Annotated[
        int, Field(ge=2, le=10_000, description="T, the steps of diffusion; nonparametric published with 300")
    ] = 400
    bins: Annotated[int, Field(ge=2, le=1000, description="bins of time, for categorical alone")] = 7
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8192)], ...],
        Field(min_length=1, max_length=8, description="widths of the hidden layers"),
    ] = (256, 512, 256)
    dropout: Annotated[
        float, Field(ge=0.0, le=0.9, description="behind every hidden layer but the first, in training only")
    ] = 0.5
    steps: fields.StepsOrEpochs = None
    epochs: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="times the whole batches of the vectors")
    ] = 400
    batch_size: Annotated[int, Field(ge=1, le=65_536, description="vectors per optimiser step")] = 64
    lr: fields.AdamLearningRate = 1e-4
    weight_decay: fields.CoupledWeightDecay = 5e-4
    compat: Annotated[
        bool,
        Field(
            description="as the published code: softmax before the loss's own, the root with its sign, whole "
            "steps of time"
        ),
    ] = False
    neighbours: Annotated[
        int, Field(ge=1, le=1000, description="K nearest vectors whose distance counts, for nonparametric")
    ] = 5
    blur_sigma: fields.BlurSigma = 4.0

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES, EXCLUSIVE)

    @property
    def grid(self) -> int:
        """Return how many patches there are across an image."""
        return self.image_size // self.grid_stride

    def of_each_image(self, images: int) -> int:
        """Return how many vectors of each image are learnt from."""
        most = self.grid**2 if self.level == "patch" else 1
        return max(1, min(most, self.vectors // images))

    def train_steps(self, vectors: int) -> int:
        """Return the optimiser steps for so many vectors; none where nothing is trained."""
        if self.estimator == "nonparametric":
            return 0
        return self.steps or (self.epochs or 0) * max(1, vectors // self.batch_size)


EXCLUSIVE = (("steps", "epochs"),)

RULES: tuple[Rule, ...] = (wide_blur(),)

STAGES: tuple[Stage, ...] = (
    Stage(
        "features",
        ("image_size", "backbone", "layers", "grid_stride", "neighbourhood", "level", "vectors"),
    ),
    Stage(
        "estimator",
        (
            *("estimator", "noise_levels", "bins", "hidden", "dropout", "steps", "epochs"),
            *("batch_size", "lr", "weight_decay", "compat"),
        ),
    ),
    Stage("score", ("neighbours", "blur_sigma")),
)

DEFAULT_PRESET = "small"

_FEW: dict[str, Any] = {"image_size": 32, "layers": [4, 8], "grid_stride": 4, "blur_sigma": 0.5}

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # A second on one CPU core: shows that everything works, not how well.
    "tiny": {**_FEW, "hidden": [64, 64], "steps": 60, "epochs": None, "batch_size": 128, "lr": 3e-3},
    # Minutes on two CPU cores.
    "small": {"steps": 1500, "epochs": None, "batch_size": 512, "lr": 1e-3},
    # No training: the distance to the nearest vectors, read as a time.
    "nonparametric": {"estimator": "nonparametric", "noise_levels": 300, "vectors": 20_000},
    # As published for embeddings of images; needs weights.
    "paper": {"image_size": 224, "backbone": "resnet34.tv_in1k", "layers": [32], "grid_stride": 32}
    | {"neighbourhood": 1, "level": "image", "compat": True, "blur_sigma": 0.0},
}

SPACE: dict[str, dict[str, Any]] = {
    "estimator": {"choices": ["categorical", "gaussian", "inverse_gamma", "nonparametric"]},
    "lr": {"low": 1e-5, "high": 1e-2, "log": True},
    "neighbours": {"low": 1, "high": 50, "log": True},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

FAMILY = "diffusion time"
COST = "one pass over the images through a pretrained network, then seconds to minutes; one call an image"

PAPER = Paper(
    title="On Diffusion Modeling for Anomaly Detection",
    authors="Victor Livernoche, Vineet Jain, Yashar Hezaveh, Siamak Ravanbakhsh",
    year=2024,
    url="https://arxiv.org/abs/2305.18593",
)

NO_EXPORT = ""
