"""The inputs on which DDAD and its published code are compared, and how tensors are summed up.

Everything is drawn from numpy's frozen legacy generator, so that it is the same wherever it is drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RECORDING = Path(__file__).parent / "parity" / "ddad.npz"
SAMPLES = 256

UNETS = {  # name -> (image size, base channels, heads, dropout, images)
    "unet-64": (64, 64, 4, 0.0, 2),
    "unet-64-s": (64, 32, 2, 0.3, 2),
    "unet-256": (256, 64, 4, 0.0, 1),
    "unet-256-s": (256, 32, 2, 0.3, 1),
}
TIMES = (613, 7)
TRAJECTORY = {"w": 3.0, "noise_step": 250, "skip": 25, "eta": 1.0}
SMALL = "unet-64-s"  # the network of reconstruction and training loss
LAMBDA = 0.1
V = 1.5
SIZE = 256  # at which the published code crops to 224
BACKBONE = "resnet50.tv_in1k"
STRIDES, MAP_STRIDES = (4, 8, 16), (8, 16)


def normal(name: str, shape: Sequence[int]) -> Tensor:
    """Return numbers of about a normal distribution, sums of four bytes, that depend on a name alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    count = math.prod(shape)
    drawn = np.frombuffer(np.random.RandomState(seed).bytes(4 * count), dtype=np.uint8)
    sums = drawn.reshape(4, count).sum(axis=0, dtype=np.int32).astype(np.float32)
    return torch.from_numpy((sums - 510.0) / np.float32(147.8)).reshape(tuple(shape))


def weights(state: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Return other values for every tensor of a state dict: none is zero, none makes a network explode."""
    return {name: _weight(f"{label}/{name}", name, tensor) for name, tensor in state.items()}


def _weight(seed: str, name: str, like: Tensor) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(like)
    drawn = normal(seed, like.shape)
    if name.endswith("running_var"):
        return 1.0 + 0.1 * drawn.abs()
    if like.ndim >= 2:
        return drawn / like[0].numel() ** 0.5
    return (1.0 if name.endswith("weight") else 0.0) + 0.1 * drawn


def perturbed(state: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Return weights a little beside others, as an adaptation leaves them."""
    return {
        name: tensor + 0.1 * tensor.std() * normal(f"{label}/{name}", tensor.shape)
        if tensor.is_floating_point() and tensor.ndim >= 2
        else tensor.clone()
        for name, tensor in state.items()
    }


def images(name: str, count: int, size: int) -> Tensor:
    """Return smooth images in about -1..1."""
    coarse = normal(name, (count, 3, size // 16, size // 16))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False).tanh()


def noise_of(name: str, shape: Sequence[int]) -> Callable[[], Tensor]:
    """Return a source of the same sequence of noise for both sides."""

    def drawn() -> Iterator[Tensor]:
        number = 0
        while True:
            yield normal(f"{name}/{number}", shape)
            number += 1

    numbers = drawn()
    return lambda: next(numbers)


def summary(tensor: Tensor) -> NDArray[np.float32]:
    """Return the root mean square of a tensor's values, then some of them from everywhere in it."""
    flat = tensor.detach().double().flatten().numpy()
    places = (
        np.random.RandomState(5).randint(0, len(flat), SAMPLES)
        if len(flat) > SAMPLES
        else np.arange(len(flat))
    )
    size = np.sqrt(np.mean(flat**2))
    return np.concatenate([[size], flat[places]]).astype(np.float32)
