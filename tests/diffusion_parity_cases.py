"""The inputs on which the other diffusion networks and processes are compared with their published code."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.nets.unet import UNetShape

RECORDING = Path(__file__).parent / "parity" / "diffusion.npz"
TIMES = (613, 7)
STEPS = (999, 250, 1, 0)  # of which a single step is compared
OTHER_STEPS = 500  # the length of a process of another length
SIMPLEX_SEEDS = (1, 3, -7_000_000_001)  # the published code takes 0 for none
SIMPLEX_SIZE = 64
SIMPLEX_FIELDS = range(1, 21)  # seeds of the fields whose deviation is compared
SIMPLEX_TIMES = (0, 249)

ANODDPM = {  # name -> shape; the published code has its tensors under our names
    "anoddpm-64": UNetShape(image_size=64, base_channels=32, heads=2, in_channels=1),
    "anoddpm-64-rgb": UNetShape(image_size=64, base_channels=32, heads=4),
    "anoddpm-256": UNetShape(image_size=256, base_channels=32, heads=2, in_channels=1),
}
GUIDED = {  # as 256x256_diffusion_uncond.pt, but narrower
    "guided-64": UNetShape(
        image_size=64,
        base_channels=32,
        head_channels=16,
        out_channels=6,
        scale_shift=True,
        cosine_first=True,
        residual_blocks=1,
    ),
    "guided-256": UNetShape(
        image_size=256,
        base_channels=32,
        head_channels=8,
        out_channels=6,
        scale_shift=True,
        cosine_first=True,
    ),
}


def images_of(shape: UNetShape) -> int:
    """Return how many images a network is given: fewer of the large ones."""
    return 2 if shape.image_size < 256 else 1
