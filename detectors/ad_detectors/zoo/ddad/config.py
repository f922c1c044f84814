"""What can be set about DDAD, in which stage it matters, and what is worth searching; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.errors import ConfigError

NO_BACKBONE = "none"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of DDAD; the defaults are those published for MVTec AD at 256 px."""

    image_size: Annotated[
        Literal[32, 64, 128, 256], Field(description="side, in pixels, to which images are resized")
    ] = 256
    base_channels: Annotated[
        int, Field(ge=32, le=256, multiple_of=32, description="U-Net channels at full size; DDAD-S has 32")
    ] = 64
    heads: Annotated[int, Field(ge=1, le=32, description="attention heads; DDAD-S has 2")] = 4
    dropout: Annotated[float, Field(ge=0.0, le=0.9, description="in training only; DDAD-S has 0.3")] = 0.0
    steps: Annotated[
        int, Field(ge=1, le=10_000_000, description="optimiser steps; 20000 are 2000 epochs of 320 images")
    ] = 20_000
    batch_size: Annotated[int, Field(ge=1, le=1024, description="images per optimiser step")] = 32
    lr: Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of Adam")] = 3e-4
    weight_decay: Annotated[
        float, Field(ge=0.0, le=10.0, description="L2 term in Adam's gradient (coupled, not AdamW)")
    ] = 0.05
    backbone: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_.]+$",
            description="timm's name of the pretrained feature extractor; 'none' compares pixels alone",
        ),
    ] = "wide_resnet101_2.tv_in1k"
    feature_strides: Annotated[
        tuple[Literal[2, 4, 8, 16, 32], ...],
        Field(min_length=1, max_length=5, description="which feature maps are compared, by their stride"),
    ] = (8, 16)
    w: Annotated[
        float, Field(ge=0.0, le=20.0, description="how strongly the reconstruction is pulled to the image")
    ] = 3.0
    noise_step: Annotated[
        int, Field(ge=1, le=999, description="step of 1000 to which an image is noised before it is rebuilt")
    ] = 250
    skip: Annotated[int, Field(ge=1, le=999, description="steps from one denoising call to the next")] = 25
    eta: Annotated[
        float, Field(ge=0.0, le=1.0, description="fresh noise while denoising: 0 none (DDIM), 1 as in DDPM")
    ] = 1.0
    v: Annotated[
        float, Field(ge=0.0, le=100.0, description="weight of the pixel distance beside the feature distance")
    ] = 1.0
    blur_sigma: Annotated[
        float, Field(ge=0.0, le=32.0, description="Gaussian blur of the map, in pixels of image_size")
    ] = 4.0
    scale_images: Annotated[
        int, Field(ge=1, le=4096, description="training images on which the pixel distance is scaled")
    ] = 32

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        if self.base_channels % self.heads:
            raise ConfigError(f"heads = {self.heads} must divide base_channels = {self.base_channels}")
        if self.skip > self.noise_step:
            raise ConfigError(f"skip = {self.skip} must be at most noise_step = {self.noise_step}")
        if int(4.0 * self.blur_sigma + 0.5) >= self.image_size:
            raise ConfigError(
                f"blur_sigma = {self.blur_sigma} is too wide; at image_size = {self.image_size} "
                f"it must be less than {(self.image_size - 0.5) / 4.0}"
            )


STAGES: tuple[Stage, ...] = (
    Stage(
        "denoiser",
        ("image_size", "base_channels", "heads", "dropout", "steps", "batch_size", "lr", "weight_decay"),
    ),
    Stage("features", ("backbone", "feature_strides")),
    Stage("score", ("w", "noise_step", "skip", "eta", "v", "blur_sigma", "scale_images")),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on two CPU cores, and no pretrained weights: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 32,
        "heads": 2,
        "steps": 40,
        "batch_size": 2,
        "lr": 1e-3,
        "backbone": NO_BACKBONE,
        "w": 1.0,
        "noise_step": 100,
        "blur_sigma": 0.5,
        "scale_images": 8,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 32,
        "heads": 2,
        "steps": 300,
        "batch_size": 8,
        "lr": 1e-3,
        "backbone": "tf_efficientnet_lite0",
        "feature_strides": [4, 8],
        "blur_sigma": 1.0,
        "scale_images": 16,
    },
}
DEFAULT_PRESET = "small"

SPACE: dict[str, dict[str, Any]] = {
    "noise_step": {"low": 50, "high": 400, "step": 25},
    "w": {"low": 0.0, "high": 12.0},
}

PAPER = Paper(
    title="Anomaly Detection with Conditioned Denoising Diffusion Models",
    authors="Arian Mousakhan, Thomas Brox, Jawad Tayyub",
    year=2023,
    url="https://arxiv.org/abs/2305.15956",
)
