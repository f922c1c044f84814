"""What can be set about DiffAD, in which stage it matters, and what is worth searching; imports no torch."""

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


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of DiffAD; the defaults are those published, but for sampling and the size of latents."""

    image_size: fields.ImageSize = 256
    pairs: Annotated[
        int,
        Field(ge=1, le=10_000, description="pairs of each normal image, turned and damaged, to learn from"),
    ] = 16
    turned: Annotated[
        float, Field(ge=0.0, le=1.0, description="share of pairs turned by up to 90 degrees")
    ] = 0.3
    base_channels: fields.AutoencoderChannels = 128
    multipliers: fields.AutoencoderMultipliers = (1, 2, 4, 4)
    residual_blocks: fields.AutoencoderBlocks = 2
    latent_channels: Annotated[int, Field(ge=1, le=64, description="channels of a latent")] = 4
    attention: fields.AutoencoderAttention = True
    dropout: Annotated[float, Field(ge=0.0, le=0.9, description="in the autoencoder's training only")] = 0.5
    kl_weight: Annotated[
        float, Field(ge=0.0, le=1.0, description="of a latent's divergence from a normal one, summed")
    ] = 1e-6
    autoencoder_steps: fields.AutoencoderSteps = 50_000
    autoencoder_lr: fields.AutoencoderLearningRate = 7.2e-5
    batch_size: fields.BatchSize = 32
    rescale: Annotated[
        bool, Field(description="divide latents by their deviation; published: as they come")
    ] = True
    damage: Annotated[
        tuple[Literal["perlin", "cutpaste", "scar", "blend"], ...],
        Field(min_length=1, max_length=4, description="kinds of synthetic defects to learn from"),
    ] = ("perlin",)
    undamaged: Annotated[float, Field(ge=0.0, le=1.0, description="share of pairs without a defect")] = 0.5
    unet_channels: fields.LatentUNetChannels = 256
    unet_multipliers: fields.LatentUNetMultipliers = (1, 2, 4)
    unet_blocks: fields.LatentUNetBlocks = 2
    unet_attention: fields.LatentUNetAttention = (32, 16, 8)
    head_channels: fields.LatentUNetHeadChannels = 32
    condition_levels: Annotated[
        int, Field(ge=0, le=1000, description="the lowest noise steps, one of which is drawn for a condition")
    ] = 1000
    steps: fields.DenoiserSteps = 30_000
    lr: fields.DenoiserLearningRate = 6.4e-5
    weight_decay: fields.WeightDecay = 0.01
    ema: fields.Ema = 0.9999
    mixes: Annotated[
        tuple[Annotated[float, Field(ge=0.0, le=1.0)], ...],
        Field(max_length=8, description="interpolated channels: share of the reconstruction in each"),
    ] = (0.5,)
    taught_sampling: Annotated[
        int, Field(ge=1, le=1000, description="network calls for a reconstruction to learn from")
    ] = 10
    limit: Annotated[
        float,
        Field(ge=0.0, le=100.0, description="beyond which estimates of clean latents are cut; 0: nowhere"),
    ] = 4.0
    segmenter_channels: Annotated[
        int, Field(ge=4, le=256, multiple_of=4, description="channels of the segmentation net at full size")
    ] = 64
    segmenter_levels: Annotated[int, Field(ge=2, le=6, description="of the segmentation net")] = 6
    segmenter_steps: Annotated[
        int, Field(ge=1, le=10_000_000, description="optimiser steps of the segmentation net")
    ] = 5_000
    segmenter_lr: Annotated[float, Field(gt=0.0, le=1.0, description="its learning rate, of Adam")] = 1e-3
    gamma: Annotated[
        float, Field(ge=0.0, le=10.0, description="how little the focal loss minds what is right already")
    ] = 2.0
    sampling: Annotated[
        int, Field(ge=1, le=1000, description="network calls for a reconstruction that is scored")
    ] = 10
    condition_step: Annotated[
        int, Field(ge=0, le=1000, description="noise step of the condition in scoring; 0: without noise")
    ] = 0
    pool: Annotated[
        int,
        Field(ge=1, le=255, description="odd side, in pixels, of the window whose highest mean is the score"),
    ] = 21

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES: tuple[Rule, ...] = (
    Rule("pool % 2 == 1", "pool = {pool} must be odd, so that a window has a middle"),
    Rule("pool <= image_size", "pool = {pool} must be at most image_size = {image_size}"),
    Rule(
        "image_size % 2 ** (len(multipliers) + len(unet_multipliers) - 2) == 0",
        "image_size = {image_size} cannot be halved {len(multipliers) + len(unet_multipliers) - 2} times, as "
        "multipliers and unet_multipliers ask; give fewer of them, or a multiple of "
        "{2 ** (len(multipliers) + len(unet_multipliers) - 2)}",
    ),
    Rule(
        "condition_step <= condition_levels",
        "condition_step = {condition_step} must be at most condition_levels = {condition_levels}: the "
        "denoiser meets no noisier condition",
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "autoencoder",
        (
            *("image_size", "pairs", "turned", "base_channels", "multipliers", "residual_blocks"),
            *("latent_channels", "attention", "dropout", "kl_weight", "autoencoder_steps", "autoencoder_lr"),
            *("batch_size", "rescale"),
        ),
    ),
    Stage(
        "denoiser",
        (
            *("damage", "undamaged", "unet_channels", "unet_multipliers", "unet_blocks", "unet_attention"),
            *("head_channels", "condition_levels", "steps", "lr", "weight_decay", "ema"),
        ),
    ),
    Stage(
        "segmenter",
        (
            *("mixes", "taught_sampling", "limit", "segmenter_channels", "segmenter_levels"),
            *("segmenter_steps", "segmenter_lr", "gamma"),
        ),
    ),
    Stage("score", ("sampling", "condition_step", "pool")),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well. Latents drawn after so short a
    # training are of little use but near the mean.
    "tiny": {
        "image_size": 32,
        "pairs": 4,
        "turned": 0.0,
        "base_channels": 8,
        "multipliers": [1, 2, 2],
        "residual_blocks": 1,
        "attention": False,
        "dropout": 0.0,
        "autoencoder_steps": 20,
        "autoencoder_lr": 5e-3,
        "batch_size": 8,
        "damage": ["perlin", "cutpaste", "scar"],
        "undamaged": 0.1,
        "unet_channels": 32,
        "unet_multipliers": [1],
        "unet_blocks": 1,
        "unet_attention": [],
        "head_channels": 16,
        "condition_levels": 1,
        "steps": 10,
        "lr": 4e-3,
        "ema": 0.9,
        "taught_sampling": 2,
        "limit": 0.1,
        "segmenter_channels": 8,
        "segmenter_levels": 4,
        "segmenter_steps": 100,
        "sampling": 2,
        "pool": 5,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "pairs": 4,
        "turned": 0.0,
        "base_channels": 16,
        "multipliers": [1, 2, 2],
        "residual_blocks": 1,
        "dropout": 0.0,
        "autoencoder_steps": 600,
        "autoencoder_lr": 1e-3,
        "batch_size": 8,
        "damage": ["perlin", "cutpaste", "scar"],
        "unet_channels": 64,
        "unet_multipliers": [1, 2],
        "unet_blocks": 1,
        "unet_attention": [8],
        "steps": 800,
        "lr": 5e-4,
        "ema": 0.99,
        "segmenter_channels": 16,
        "segmenter_levels": 5,
        "segmenter_steps": 600,
        "pool": 7,
    },
    # As published, but for the perceptual and adversarial losses of the autoencoder; a day on a GPU.
    "paper": {"rescale": False, "taught_sampling": 50, "limit": 0.0},
}

SPACE: dict[str, dict[str, Any]] = {
    "sampling": {"choices": [2, 5, 10, 20]},
    "condition_step": {"low": 0, "high": 500, "step": 100},
    "pool": {"choices": [1, 5, 9, 15, 21]},
}

PAPER = Paper(
    title="Unsupervised Surface Anomaly Detection with Diffusion Probabilistic Model",
    authors="Xinyi Zhang, Naiqi Li, Jiawei Li, Tao Dai, Yong Jiang, Shu-Tao Xia",
    year=2023,
    url="https://doi.org/10.1109/ICCV51070.2023.00626",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; ten network calls in latents an image"
