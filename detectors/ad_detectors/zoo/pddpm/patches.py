"""Patches of an image: where they lie, which pixels are noised, and one image made of many restored ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Box(NamedTuple):
    """A patch, or the part of one that is used: from a row and column to before others."""

    top: int
    left: int
    bottom: int
    right: int


def starts(side: int, patch: int, stride: int) -> list[int]:
    """Return where patches begin along a side; the last one ends with it, so that every patch is whole."""
    return [*range(0, side - patch, stride), side - patch]


def grid(side: int, patch: int, stride: int) -> list[Box]:
    """Return the patches of a square image, row by row; together they cover every pixel."""
    begins = starts(side, patch, stride)
    return [Box(top, left, top + patch, left + patch) for top in begins for left in begins]


def cut(side: int, patch: int, stride: int) -> list[Box]:
    """Return of each patch of `grid` the pixels whose nearest centre is its own: every pixel is in one."""
    begins = starts(side, patch, stride)
    # Half-way between two neighbours' centres; an overlap of odd width gives its middle to the first.
    ends = [0, *((a + b + patch + 1) // 2 for a, b in pairwise(begins)), side]
    spans = list(pairwise(ends))
    return [Box(top, left, bottom, right) for top, bottom in spans for left, right in spans]


def inside(boxes: Tensor, height: int, width: int) -> Tensor:  # (B, 1, H, W)
    """Return which pixels are within boxes (B, 4) of the order of `Box`, one for each image."""
    top, left, bottom, right = (each[:, None] for each in boxes.unbind(dim=1))
    y = torch.arange(height, device=boxes.device)[None]
    x = torch.arange(width, device=boxes.device)[None]
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def joined(
    parts: Sequence[Tensor], side: int, patch: int, stride: int, joining: Literal["cut", "average"]
) -> Tensor:
    """Return images (B, C, H, W) made of those whose patch number i of `grid` was restored in parts[i]."""
    result = torch.zeros_like(parts[0])
    if joining == "cut":
        for box, part in zip(cut(side, patch, stride), parts, strict=True):
            rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
            result[:, :, rows, columns] = part[:, :, rows, columns]
        return result
    count = torch.zeros(side, side, device=result.device)
    for box, part in zip(grid(side, patch, stride), parts, strict=True):
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        result[:, :, rows, columns] += part[:, :, rows, columns]
        count[rows, columns] += 1.0
    return result / count
