"""The inputs on which networks that know classes, and guided steps, are compared with guided-diffusion's."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.nets.unet import UNetShape

RECORDING = Path(__file__).parent / "parity" / "guidance.npz"
TIMES = (613, 7)
CLASSES = (1, 0)
STEPS = (499, 250, 30)  # of which a guided step is compared
GUIDANCE = 100.0

# As the flags of github.com/JuliaWolleb/diffusion-anomaly build them, but narrower and smaller.
DENOISER = UNetShape(
    image_size=64,
    base_channels=32,
    multipliers=(1, 2, 2),
    attention_divisors=(16,),
    cosine_first=True,
    resampling="convolution",
    classes=2,
)
CLASSIFIER = UNetShape(
    image_size=64,
    base_channels=32,
    multipliers=(1, 2, 2),
    residual_blocks=1,
    attention_divisors=(32, 16),
    head_channels=64,
    out_channels=2,
    scale_shift=True,
    cosine_first=True,
)
