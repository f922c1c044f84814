"""What can be set about latent diffusion, in which stage it matters, and what to search; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from ad_detectors import fields
from ad_detectors.api import Stage
from ad_detectors.config import Paper
from ad_detectors.rules import Rule, check, wide_blur

DEFAULT_PRESET = "small"
NO_EXPORT = (
    "its noise is drawn from the SHA-256 of an image's pixels, which no operator of ONNX or OpenVINO "
    "computes, and with other noise the scores would be others"
)
Step = Annotated[int, Field(ge=1, le=999)]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of latent diffusion with in-painting."""

    image_size: Annotated[
        int,
        Field(ge=32, le=1024, multiple_of=8, description="side, in pixels, to which images are resized"),
    ] = 256
    held: Annotated[
        float,
        Field(ge=0.0, le=0.5, description="share of normal images kept from learning, for the calibration"),
    ] = 0.1
    base_channels: fields.AutoencoderChannels = 64
    multipliers: fields.AutoencoderMultipliers = (1, 2, 2, 4)
    residual_blocks: fields.AutoencoderBlocks = 2
    latent_channels: Annotated[int, Field(ge=1, le=512, description="numbers of a word of the codebook")] = (
        128
    )
    attention: fields.AutoencoderAttention = False
    codes: Annotated[int, Field(ge=2, le=8192, description="words of the codebook")] = 256
    commitment: Annotated[
        float, Field(ge=0.0, le=10.0, description="weight of how far latents are from their words")
    ] = 0.25
    decay: Annotated[
        float, Field(ge=0.0, le=0.9999, description="share of a word's moving mean that stays at each step")
    ] = 0.99
    autoencoder_steps: fields.AutoencoderSteps = 30_000
    autoencoder_lr: fields.AutoencoderLearningRate = 3e-4
    batch_size: fields.BatchSize = 16
    rescale: Annotated[bool, Field(description="divide latents by their deviation for the denoiser")] = True
    unet_channels: fields.LatentUNetChannels = 256
    unet_multipliers: fields.LatentUNetMultipliers = (1, 2, 3)
    unet_blocks: fields.LatentUNetBlocks = 2
    unet_attention: fields.LatentUNetAttention = (16, 8)
    head_channels: fields.LatentUNetHeadChannels = 32
    steps: fields.DenoiserSteps = 100_000
    lr: fields.DenoiserLearningRate = 2.5e-5
    weight_decay: fields.WeightDecay = 0.01
    ema: fields.Ema = 0.9999
    first_step: Annotated[Step, Field(description="the lowest noise step at which surprise is measured")] = (
        400
    )
    last_step: Annotated[Step, Field(description="no noise step beyond this one")] = 600
    stride: Annotated[int, Field(ge=1, le=999, description="from one such step to the next")] = 10
    calibrated: Annotated[
        bool, Field(description="set each step in proportion to normal images; published: added as they are")
    ] = True
    quantile: Annotated[
        float, Field(gt=0.0, lt=1.0, description="share of normal places that do not surprise")
    ] = 0.975
    calibration_images: Annotated[
        int, Field(ge=1, le=10_000, description="normal images at most that this is taken from")
    ] = 64
    dilate: Annotated[
        int, Field(ge=0, le=8, description="places of latents by which what surprises is widened")
    ] = 0
    inpaint_step: Annotated[
        int, Field(ge=1, le=1000, description="noise steps from which it is drawn anew")
    ] = 500
    inpaint_calls: Annotated[
        int, Field(ge=1, le=1000, description="network calls for that, spread over these steps")
    ] = 100
    compare: Annotated[
        Literal["input", "decoded"],
        Field(
            description="what the new image is compared with: the image, or what comes back of its latents"
        ),
    ] = "input"
    map: Annotated[
        Literal["residual", "surprise", "product"],
        Field(
            description="what differs where something surprised, as published; the surprise itself, for "
            "which nothing is drawn anew; or the difference times the surprise"
        ),
    ] = "residual"
    blur_sigma: Annotated[
        float, Field(ge=0.0, le=32.0, description="Gaussian blur of what surprises, in pixels of image_size")
    ] = 4.0
    top: Annotated[
        float,
        Field(gt=0.0, le=1.0, description="share of places whose mean surprise is the score; 1: of all"),
    ] = 0.025

    def __post_init__(self) -> None:
        """Check what no range of a single field can say."""
        check(self, RULES)


RULES: tuple[Rule, ...] = (
    wide_blur(),
    Rule(
        "first_step <= last_step",
        "first_step = {first_step} must be at most last_step = {last_step}",
    ),
    Rule(
        "inpaint_calls <= inpaint_step",
        "inpaint_calls = {inpaint_calls} must be at most inpaint_step = {inpaint_step}, the steps there are",
    ),
    Rule(
        "image_size % 2 ** (len(multipliers) + len(unet_multipliers) - 2) == 0",
        "image_size = {image_size} cannot be halved {len(multipliers) + len(unet_multipliers) - 2} times, as "
        "multipliers and unet_multipliers ask; give fewer of them, or a multiple of "
        "{2 ** (len(multipliers) + len(unet_multipliers) - 2)}",
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "autoencoder",
        (
            *("image_size", "held", "base_channels", "multipliers", "residual_blocks", "latent_channels"),
            *("attention", "codes", "commitment", "decay", "autoencoder_steps", "autoencoder_lr"),
            *("batch_size", "rescale"),
        ),
    ),
    Stage(
        "denoiser",
        (
            *("unet_channels", "unet_multipliers", "unet_blocks", "unet_attention", "head_channels"),
            *("steps", "lr", "weight_decay", "ema"),
        ),
    ),
    Stage(
        "calibration",
        ("first_step", "last_step", "stride", "calibrated", "quantile", "calibration_images"),
    ),
    Stage(
        "score",
        ("dilate", "inpaint_step", "inpaint_calls", "compare", "map", "blur_sigma", "top"),
    ),
)

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds on one CPU core: shows that everything works, not how well.
    "tiny": {
        "image_size": 32,
        "base_channels": 8,
        "multipliers": [1, 2, 2],
        "residual_blocks": 1,
        "latent_channels": 4,
        "codes": 32,
        "autoencoder_steps": 30,
        "autoencoder_lr": 5e-3,
        "batch_size": 8,
        "unet_channels": 32,
        "unet_multipliers": [1],
        "unet_blocks": 1,
        "unet_attention": [],
        "head_channels": 16,
        "steps": 60,
        "lr": 4e-3,
        "ema": 0.9,
        "first_step": 20,
        "last_step": 100,
        "stride": 20,
        "inpaint_step": 300,
        "inpaint_calls": 3,
        "map": "product",
        "blur_sigma": 1.0,
    },
    # Minutes on two CPU cores.
    "small": {
        "image_size": 64,
        "base_channels": 16,
        "multipliers": [1, 2, 2],
        "residual_blocks": 1,
        "latent_channels": 8,
        "codes": 128,
        "autoencoder_steps": 800,
        "autoencoder_lr": 1e-3,
        "batch_size": 8,
        "unet_channels": 64,
        "unet_multipliers": [1, 2],
        "unet_blocks": 1,
        "unet_attention": [8],
        "steps": 1000,
        "lr": 5e-4,
        "ema": 0.99,
        "first_step": 200,
        "stride": 40,
        "inpaint_calls": 25,
        "blur_sigma": 2.0,
    },
    # After the paper, but for the perceptual, spectral and adversarial losses; a day on a GPU.
    "paper": {"calibrated": False, "rescale": False},
}

SPACE: dict[str, dict[str, Any]] = {
    "first_step": {"low": 50, "high": 500, "step": 50},
    "quantile": {"low": 0.9, "high": 0.995},
    "map": {"choices": ["residual", "surprise", "product"]},
    "blur_sigma": {"low": 0.0, "high": 8.0},
}

PAPER = Paper(
    title="Fast Unsupervised Brain Anomaly Detection and Segmentation with Diffusion Models",
    authors="Walter H. L. Pinaya, Mark S. Graham, Robert Gray, Pedro F. da Costa, Petru-Daniel Tudosiu, "
    "Paul Wright, Yee H. Mah, Andrew D. MacKinnon, James T. Teo, Rolf Jager, David Werring, Geraint Rees, "
    "Parashkev Nachev, Sebastien Ourselin, M. Jorge Cardoso",
    year=2022,
    url="https://arxiv.org/abs/2206.03461",
)

FAMILY = "diffusion"
COST = "hours of training on a GPU for published quality; 20 to 120 network calls in latents an image"
