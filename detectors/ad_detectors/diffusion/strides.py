"""Which steps of a trained process are visited: all, every n-th, or so many spread evenly."""

from __future__ import annotations

import torch
from torch import Tensor


def strided(highest: int, skip: int = 1) -> list[int]:
    """Return steps from `highest` down, `skip` apart, that end with 0."""
    steps = list(range(highest, 0, -skip))
    return [*steps, 0]


def respaced(length: int, count: int) -> list[int]:
    """Return `count` steps of 0..length - 1, from high to low, spread evenly and with both ends.

    Nichol and Dhariwal 2021, arXiv 2102.09672, section 4. A single step is the highest. Raises ValueError
    for more steps than there are.
    """
    if not 1 <= count <= length:
        raise ValueError(f"{count} of {length} steps cannot be visited")
    if count == 1:
        return [length - 1]
    stride = (length - 1) / (count - 1)
    return [round(number * stride) for number in reversed(range(count))]


def padded(lists: list[list[int]]) -> Tensor:
    """Return steps (B, N + 1) of chains of different lengths, each ending with -1, the clean image.

    A shorter chain starts later: before its first step it stands still there, so that all end together.
    """
    longest = max(len(steps) for steps in lists)
    return torch.tensor([[steps[0]] * (longest - len(steps)) + [*steps, -1] for steps in lists])
