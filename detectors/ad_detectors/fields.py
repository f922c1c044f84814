"""Settings that several detectors have in common, with their ranges; imports no torch.

A default is the detector's own, as each follows another publication.
"""

from typing import Annotated, Literal

from pydantic import Field

# Images and maps.
ImageSize = Annotated[
    int, Field(ge=32, le=1024, multiple_of=32, description="side, in pixels, to which images are resized")
]
UNetImageSize = Annotated[
    Literal[32, 64, 128, 256], Field(description="side, in pixels, to which images are resized")
]
BlurSigma = Annotated[
    float, Field(ge=0.0, le=32.0, description="Gaussian blur of the map, in pixels of image_size")
]
MaxOrTop = Annotated[
    Literal["max", "top"], Field(description="largest value of the map, or mean of its largest hundredth")
]
Backbone = Annotated[
    str, Field(pattern="^[A-Za-z0-9_.]+$", description="timm's name of the pretrained feature extractor")
]
Neighbourhood = Annotated[
    Literal[1, 3, 5, 7], Field(description="places of a feature map, across, that a patch is the mean of")
]
Labels = Annotated[
    Literal["auto", "labelled", "synthetic", "both"],
    Field(
        description=(
            "defects to learn from: those of train/<defect>, made up ones, both; "
            "auto makes them up where there are none"
        )
    ),
]

# Training.
Steps = Annotated[int, Field(ge=1, le=10_000_000, description="optimiser steps")]
StepsOrEpochs = Annotated[
    int | None, Field(ge=1, le=10_000_000, description="optimiser steps, instead of epochs")
]
Epochs = Annotated[int | None, Field(ge=1, le=1_000_000, description="times the whole batches of the images")]
BatchSize = Annotated[int, Field(ge=1, le=1024, description="images per optimiser step")]
HalfAnomalousBatchSize = Annotated[
    int, Field(ge=2, le=1024, multiple_of=2, description="images per step, half of them anomalous")
]
AdamLearningRate = Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of Adam")]
AdamWLearningRate = Annotated[float, Field(gt=0.0, le=1.0, description="learning rate of AdamW")]
CoupledWeightDecay = Annotated[
    float, Field(ge=0.0, le=10.0, description="L2 term in Adam's gradient (coupled, not AdamW)")
]
WeightDecay = Annotated[float, Field(ge=0.0, le=10.0, description="decoupled, as in AdamW")]
Ema = Annotated[
    float, Field(ge=0.0, le=0.999999, description="share of the mean weights that stays at each step")
]
Dropout = Annotated[float, Field(ge=0.0, le=0.9, description="in training only")]

# U-Nets.
UNetChannels = Annotated[int, Field(ge=32, le=256, multiple_of=32, description="U-Net channels at full size")]
UNetMultipliers = Annotated[
    tuple[Annotated[int, Field(ge=1, le=8)], ...] | None,
    Field(
        min_length=1,
        max_length=6,
        description="widths of the U-Net's levels, in base channels; null: as published for the size",
    ),
]
UNetBlocks = Annotated[int, Field(ge=1, le=4, description="of each level of the U-Net")]
UNetAttention = Annotated[
    tuple[Literal[8, 16, 32], ...],
    Field(max_length=3, description="sides, in pixels, of the maps with attention besides the smallest"),
]
Heads = Annotated[int, Field(ge=1, le=32, description="attention heads")]
HeadChannels = Annotated[Literal[16, 32, 64], Field(description="width of an attention head")]

# Diffusion.
Schedule = Annotated[
    Literal["linear", "cosine"], Field(description="how the noise grows over the 1000 steps")
]
NoiseLevels = Annotated[
    int, Field(ge=1, le=1000, description="of 1000 noise steps the lowest, which are trained")
]
NoiseStep = Annotated[
    int, Field(ge=1, le=1000, description="steps of 1000 by which an image is noised, then brought back")
]
Repeats = Annotated[int, Field(ge=1, le=64, description="reconstructions over which the error is averaged")]

# Simplex noise.
Octaves = Annotated[int, Field(ge=1, le=12, description="of the simplex noise, each twice as fine")]
Persistence = Annotated[
    float, Field(gt=0.0, le=1.0, description="strength of an octave beside the one before it")
]
Wavelength = Annotated[
    float, Field(ge=2.0, le=512.0, description="of the first octave, in pixels; published as a frequency")
]
Standardise = Annotated[
    bool, Field(description="scale simplex noise to deviation 1; as published it has about 0.5")
]
NoisePool = Annotated[
    int, Field(ge=0, le=4096, description="simplex fields that training takes pieces of; 0 draws fresh ones")
]

# Autoencoders, and U-Nets of their latents.
Multipliers = Annotated[tuple[Annotated[int, Field(ge=1, le=8)], ...], Field(min_length=1, max_length=6)]
AutoencoderChannels = Annotated[
    int, Field(ge=8, le=512, multiple_of=8, description="channels of the autoencoder at full size")
]
AutoencoderMultipliers = Annotated[
    Multipliers,
    Field(description="widths of its levels, in base channels; each but the last halves the sides"),
]
AutoencoderBlocks = Annotated[int, Field(ge=1, le=4, description="of each of its levels")]
AutoencoderAttention = Annotated[
    bool, Field(description="over all places of the autoencoder's smallest maps")
]
AutoencoderSteps = Annotated[
    int, Field(ge=1, le=10_000_000, description="optimiser steps of the autoencoder")
]
AutoencoderLearningRate = Annotated[float, Field(gt=0.0, le=1.0, description="its learning rate, of Adam")]
LatentUNetChannels = Annotated[
    int, Field(ge=32, le=512, multiple_of=32, description="channels of the denoiser's first level")
]
LatentUNetMultipliers = Annotated[
    Multipliers, Field(description="widths of the denoiser's levels, in its channels")
]
LatentUNetBlocks = Annotated[int, Field(ge=1, le=4, description="of each level of the denoiser")]
LatentUNetAttention = Annotated[
    tuple[Literal[4, 8, 16, 32, 64], ...],
    Field(max_length=5, description="sides of latents with attention besides the smallest"),
]
LatentUNetHeadChannels = Annotated[
    Literal[8, 16, 32, 64], Field(description="width of a head of the denoiser's attention")
]
DenoiserSteps = Annotated[int, Field(ge=1, le=10_000_000, description="optimiser steps of the denoiser")]
DenoiserLearningRate = Annotated[float, Field(gt=0.0, le=1.0, description="its learning rate, of AdamW")]
