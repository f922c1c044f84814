"""The vectors and weights on which DTE and its published code are compared."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ddad_parity_cases import normal

RECORDING = Path(__file__).parent / "parity" / "dte.npz"
SIZE = 12  # numbers in a vector
HIDDEN = (256, 512, 256)  # as published
LEVELS, LEVELS_NP, BINS, NEIGHBOURS = 400, 300, 7, 5
OUT = {"categorical": BINS, "gaussian": 1, "inverse_gamma": 1}  # of each estimator with a network


def learnt_from() -> Tensor:
    return normal("dte/train", (200, SIZE))


def judged() -> Tensor:
    """Return vectors in the midst of those that were learnt from, and some beyond."""
    return learnt_from()[:60] * torch.linspace(0.1, 1.1, 60)[:, None]


def weights(estimator: str) -> dict[str, Tensor]:
    """Return a network's tensors by the number of its layer: "0.weight", "0.bias" and so on."""
    widths = (SIZE, *HIDDEN, OUT[estimator])
    found = {}
    for layer, (before, after) in enumerate(pairwise(widths)):
        name = f"dte/{estimator}/{layer}"
        found[f"{layer}.weight"] = 1.4 * normal(f"{name}/weight", (after, before)) / before**0.5
        found[f"{layer}.bias"] = 0.1 * normal(f"{name}/bias", (after,))
    return found


def steps() -> Tensor:
    """Return the steps of diffusion at which the losses are compared."""
    return torch.arange(0, LEVELS, 7)[:50]


def noise() -> Tensor:
    return normal("dte/noise", (50, SIZE))


def named(weights_: Mapping[str, Tensor], last: str) -> dict[str, Tensor]:
    """Return the tensors as a network calls them whose last layer has a name of its own."""
    return {
        (f"{last}.{key.partition('.')[2]}" if key.startswith(f"{len(HIDDEN)}.") else f"layers.{key}"): value
        for key, value in weights_.items()
    }
