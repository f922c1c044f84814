"""The inputs on which DiffAD's networks and losses are compared with the published code."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.nets.latents import LatentShape

RECORDING = Path(__file__).parent / "parity" / "diffad.npz"
# As published, but narrower; 64 pixels are enough for every layer to have neighbours.
SHAPE = LatentShape(image_size=64, base_channels=32, multipliers=(1, 2, 4, 4), residual_blocks=2, channels=4)
CHANNELS, BASE = 9, 16  # of the segmentation net
COUNT = 2
GAMMA = 2.0
POOL = 21
