"""Gradient noise: smooth randomness whose features are about one cell wide (Perlin 1985, 2002)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
COARSE = 128  # pixels of the longer side
PERIOD = 64  # lattice points per axis, after which the noise repeats; a power of two
_TURNS = [math.tau * turn / 256 for turn in range(256)]
_DIRECTIONS = np.array([[math.sin(turn) for turn in _TURNS], [math.cos(turn) for turn in _TURNS]], np.float32)


def lattice(random: np.random.Generator, count: int = 1) -> Floats:  # (count, 2, PERIOD**2)
    """Return unit gradients (dy, dx) for every lattice point of `count` noises."""
    chosen = np.frombuffer(random.bytes(count * PERIOD**2), np.uint8).reshape(count, PERIOD**2)
    return np.take(_DIRECTIONS, chosen, axis=1).transpose(1, 0, 2)


def perlin(gradients: Floats, y: Floats, x: Floats) -> Floats:  # (count, *y.shape)
    """Return the noise of each lattice at these coordinates, in cells; between -1 and 1, 0 at corners."""
    top, left = np.floor(y), np.floor(x)
    below, right = y - top, x - left  # how far into its cell, 0..1
    # PERIOD is a power of two: masking its bits is the remainder, and several times as fast.
    first, before = top.astype(np.intp), left.astype(np.intp)
    rows = [((first + step) & (PERIOD - 1)) * PERIOD for step in (0, 1)]
    columns = [(before + step) & (PERIOD - 1) for step in (0, 1)]
    eased, edges = _fade(right), []
    for row in (0, 1):
        corners = []
        for column in (0, 1):
            gradient = np.take(gradients, rows[row] + columns[column], axis=-1)
            corners.append(gradient[:, 0] * (below - row) + gradient[:, 1] * (right - column))
        edges.append(corners[0] + eased * (corners[1] - corners[0]))
    # A unit gradient reaches half a diagonal: without the factor the noise would end at 0.707.
    result: Floats = np.float32(math.sqrt(2)) * (edges[0] + _fade(below) * (edges[1] - edges[0]))
    return result


def clouds(
    random: np.random.Generator, height: int, width: int, cells: tuple[float, float], octaves: int = 1
) -> Floats:  # (height, width)
    """Return noise with so many cells down and across the longer side, turned and shifted at random.

    Each further octave adds noise twice as fine and half as strong. Large images get theirs enlarged from
    COARSE pixels, where a cell still has several.
    """
    step = -(-max(height, width) // COARSE)
    small = -(-height // step), -(-width // step)
    y, x = turned(*small, random, *cells)
    total = np.zeros(small, np.float32)
    for octave, gradients in enumerate(lattice(random, octaves)):
        finer = np.float32(2**octave)
        total += perlin(gradients[None], y * finer, x * finer)[0] / finer
    return total if step == 1 else _enlarged(total, step)[:height, :width]


def turned(
    height: int, width: int, random: np.random.Generator, down: float, across: float
) -> tuple[Floats, Floats]:
    """Return coordinates that count so many cells over the longer side, turned and shifted at random."""
    angle = random.uniform(0.0, math.tau)
    shift_y, shift_x = np.float32(random.uniform(0.0, PERIOD)), np.float32(random.uniform(0.0, PERIOD))
    longer = max(height, width)
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(height / 2)) / np.float32(longer)
    x = (np.arange(width, dtype=np.float32)[None, :] - np.float32(width / 2)) / np.float32(longer)
    sine, cosine = math.sin(angle), math.cos(angle)
    rows: Floats = (down * cosine) * y + ((down * sine) * x + shift_y)
    columns: Floats = (across * cosine) * x + (shift_x - (across * sine) * y)
    return rows, columns


def _enlarged(values: Floats, factor: int) -> Floats:
    """Return the values with a straight line drawn between neighbours, `factor` times as tall and wide."""
    height, width = values.shape
    image = Image.fromarray(values).resize((width * factor, height * factor), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _fade(t: Floats) -> Floats:
    """Ease from 0 to 1 so that the first and second derivatives vanish at both ends."""
    result: Floats = t * t * t * (t * (t * 6 - 15) + 10)
    return result
