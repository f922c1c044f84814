"""The inputs on which patched DDPM is compared with its published code."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.nets.unet import UNetShape

RECORDING = Path(__file__).parent / "parity" / "pddpm.npz"
SIDE, PATCH, SLICES = 96, 48, 3
STEPS = (999, 499, 0)  # of which losses are compared
TESTED = 500  # published as test_timesteps: the step before is the one that is taken
SHAPE = UNetShape(  # as published, but narrower: attention in the middle alone
    image_size=SIDE,
    base_channels=64,
    multipliers=(1, 2, 2),
    residual_blocks=3,
    attention_divisors=(),
    head_channels=64,
    in_channels=1,
    scale_shift=True,
    cosine_first=True,
)
TIMES = (613, 7)
