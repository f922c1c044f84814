"""Diffusion time of vectors: the noise they are taught with, the losses, and what each estimate says.

After Livernoche, Jain, Hezaveh and Ravanbakhsh (arXiv 2305.18593); vectors are standardised.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.neighbours.several import mean_square

BETAS = (1e-4, 0.01)  # from the first step of diffusion to the last
FLOOR = 1e-5  # added to the scale whose logarithm is taken


class TimeNet(nn.Module):
    """A perceptron from a vector to its time: logits of bins, or one number."""

    def __init__(self, size: int, hidden: Sequence[int], out: int, dropout: float) -> None:
        super().__init__()
        widths = (size, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], out)
        self.drop = nn.Dropout(dropout)

    def forward(self, vectors: Tensor) -> Tensor:  # (N, out)
        """Return logits, or a column of numbers."""
        x = vectors
        for number, layer in enumerate(self.layers):
            x = F.relu(layer(x))
            x = self.drop(x) if number else x
        found: Tensor = self.last(x)
        return found


def variances(levels: int, device: torch.device | str = "cpu") -> Tensor:  # (levels,)
    """Return the variance of the noise at each step: 1 - the product of 1 - beta up to it."""
    betas = torch.linspace(*BETAS, levels, device=device)
    return 1.0 - torch.cumprod(1.0 - betas, dim=0)


def noised(vectors: Tensor, variance: Tensor, noise: Tensor) -> Tensor:
    """Return vectors (N, D) under noise of these variances (N,), without drift: their mean is not shrunk."""
    return vectors + variance.sqrt()[:, None] * noise


def wanted_of(estimator: str, t: Tensor, levels: int, bins: int, compat: bool) -> Tensor:  # (N,)
    """Return what the net shall say at steps t (N,) of so many: a bin, or the step, as its share of all.

    With `compat` the step itself: to come to hundreds, a net that starts near zero needs many steps.
    """
    if estimator == "categorical":
        return bin_of(t, levels, bins)
    return t.float() if compat else t / levels


def loss_of(
    estimator: str, found: Tensor, wanted: Tensor, variance: Tensor, size: int, compat: bool
) -> Tensor:
    """Return the loss of what the net said of vectors with `size` numbers, under noise of this variance."""
    if estimator == "categorical":
        return F.cross_entropy(found.softmax(dim=1) if compat else found, wanted)
    if estimator == "gaussian":
        return F.mse_loss(found[:, 0], wanted)
    scale = found[:, 0].square()  # b of the inverse gamma; its shape a is known
    return -(shape_of(size) * torch.log(scale + FLOOR) - scale / variance).mean()


def bin_of(t: Tensor, levels: int, bins: int) -> Tensor:
    """Return which of equally wide bins of time a step is in."""
    return (t * bins).div(levels, rounding_mode="floor").clamp(0, bins - 1)


def shape_of(size: int) -> float:
    """Return a of the inverse gamma: of the variance that explains a distance in `size` dimensions."""
    return 0.5 * size - 1.0


def time_of(estimator: str, found: Tensor, size: int, compat: bool) -> Tensor:  # (N,)
    """Return the time that the net's answer (N, out) stands for: higher for what is farther off.

    The expected bin, the step as `wanted_of` has it, or the mode b / (a + 1) of the variance; with `compat`
    the root of b with the sign that the net happened to give it.
    """
    if estimator == "categorical":
        return (found.softmax(dim=1) * torch.arange(found.shape[1], device=found.device)).sum(dim=1)
    if estimator == "gaussian" or compat:
        return found[:, 0]
    return found[:, 0].square() / (shape_of(size) + 1.0)


def time_of_distance(square: Tensor, size: int, levels: int, compat: bool) -> Tensor:  # (N,)
    """Return the time that explains squared distances (N,) to the nearest normal vectors.

    The mode of the variance's inverse gamma is square / size, which has no ties. With `compat` the step of
    diffusion that is likeliest under it, which ends at the last one.
    """
    if not compat:
        return square / size
    variance = variances(levels, square.device).double()
    shape, scale = shape_of(size), square.double()[:, None] / 2.0
    likely = -(shape + 1.0) * variance.log() - scale / variance  # but for what is the same at every step
    return likely.argmax(dim=1).float()


class Estimate(nn.Module):
    """Times of standardised vectors (N, D), by the net or by the rows of a bank."""

    rows: Tensor

    def __init__(
        self,
        estimator: str,
        size: int,
        compat: bool,
        *,
        net: TimeNet | None = None,
        rows: Tensor | None = None,
        neighbours: int = 1,
        levels: int = 1,
    ) -> None:
        super().__init__()
        self.estimator, self.size, self.compat, self.net = estimator, size, compat, net
        self.neighbours, self.levels = neighbours, levels
        self.register_buffer("rows", torch.zeros(0, size) if rows is None else rows)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the times (N,)."""
        if self.net is not None:
            return time_of(self.estimator, self.net(vectors), self.size, self.compat)
        square = mean_square(vectors, self.rows, self.neighbours)
        return time_of_distance(square, self.size, self.levels, self.compat)
