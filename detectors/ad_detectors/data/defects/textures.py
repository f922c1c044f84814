"""What a defect is filled with: the image itself, changed beyond recognition, or a drawn texture.

DRAEM takes photographs of other textures (DTD) for this; these need no download.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.defects import noise
from ad_detectors.data.defects.foreground import point

Pixels = NDArray[np.uint8]
OWN_SHARE = 0.5  # of the textures are made from the image itself
LEVELS = np.arange(256, dtype=np.float32)


def texture(image: Pixels, ground: NDArray[np.bool_], random: np.random.Generator) -> Pixels:  # (C, H, W)
    """Return a texture of the image's size; grey (C = 1) for a grey one."""
    if random.random() < OWN_SHARE:
        return _own(image, random)
    return _drawn(image, ground, random)


def tone(values: Pixels, random: np.random.Generator) -> Pixels:
    """Return the values after one strong change of tone: one curve for all channels."""
    curves: list[Callable[[float], NDArray[np.float32]]] = [
        lambda u: 255.0 * (LEVELS / 255.0) ** (2.0 if u < 0.5 else 0.5),
        lambda u: (LEVELS - 128.0) * (0.4 if u < 0.5 else 1.8) + 128.0,
        lambda u: LEVELS + (-1.0 if u < 0.5 else 1.0) * (25.0 + 90.0 * abs(u - 0.5)),
        lambda u: 255.0 - LEVELS,
        lambda u: np.where((96.0 + 96.0 * u) > LEVELS, LEVELS, 255.0 - LEVELS),  # solarised
        lambda u: np.floor(LEVELS / (32.0 + 32.0 * u)) * (32.0 + 32.0 * u),  # posterised
    ]
    curve = curves[int(random.integers(len(curves)))](float(random.random()))
    table = np.clip(np.rint(curve), 0, 255).astype(np.uint8)
    return table[values]


def _own(image: Pixels, random: np.random.Generator) -> Pixels:
    """Return the image turned, shifted, zoomed, with other tones and, if it has colours, others."""
    channels, height, width = image.shape
    zoom = float(np.exp(random.uniform(-0.7, 0.7)))
    y, x = noise.turned(height, width, random, zoom, zoom)
    longer = max(height, width)
    rows = np.floor(y * longer).astype(np.int32) % height
    columns = np.floor(x * longer).astype(np.int32) % width
    moved = np.take(image.reshape(channels, -1), rows * width + columns, axis=1)
    if channels > 1 and random.random() < 0.5:
        moved = moved[random.permutation(channels)]
    return tone(moved, random)


def _drawn(image: Pixels, ground: NDArray[np.bool_], random: np.random.Generator) -> Pixels:
    """Return a pattern between two colours that are near those of the object."""
    height, width = image.shape[1:]
    pattern = _PATTERNS[int(random.integers(len(_PATTERNS)))](height, width, random)
    first, second = _colour(image, ground, random), _colour(image, ground, random)
    mixed: NDArray[np.float32] = first[:, None, None] + pattern[None] * (second - first)[:, None, None]
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _colour(
    image: Pixels, ground: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float32]:  # (C,)
    channels = image.shape[0]
    row, column = point(ground, random)
    taken = image[:, row, column].astype(np.float32)
    shared, own = random.uniform(-70, 70), random.uniform(-25, 25, channels)
    shift = shared + (own if channels > 1 else np.zeros(1))
    colour: NDArray[np.float32] = np.clip(taken + shift, 0, 255).astype(np.float32)
    return colour


def _clouds(height: int, width: int, random: np.random.Generator) -> NDArray[np.float32]:
    cells = float(2.0 ** random.uniform(2, 5))
    return noise.clouds(random, height, width, (cells, cells), octaves=2) * 0.7 + 0.5


def _stripes(height: int, width: int, random: np.random.Generator) -> NDArray[np.float32]:
    cells = float(2.0 ** random.uniform(2.5, 5))
    y, _ = noise.turned(height, width, random, cells, cells)
    bent = y + random.uniform(0.0, 1.5) * noise.clouds(random, height, width, (cells * 0.3, cells * 0.3))
    wave: NDArray[np.float32] = np.abs((bent % 1.0) * 2.0 - 1.0)
    return wave


def _cells(height: int, width: int, random: np.random.Generator) -> NDArray[np.float32]:
    cells = float(2.0 ** random.uniform(2.5, 5))
    y, x = noise.turned(height, width, random, cells, cells * random.uniform(0.5, 2.0))
    shades = random.random((noise.PERIOD, noise.PERIOD), np.float32)
    tiles: NDArray[np.float32] = shades[y.astype(np.int32) % noise.PERIOD, x.astype(np.int32) % noise.PERIOD]
    return tiles


def _grain(height: int, width: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return random grains of one pixel at 128 px, wider above."""
    wide = max(1, max(height, width) // 128)
    grains = random.random((-(-height // wide), -(-width // wide)), np.float32)
    return np.repeat(np.repeat(grains, wide, axis=0), wide, axis=1)[:height, :width]


_PATTERNS = (_clouds, _stripes, _cells, _grain)
