"""Kind "perlin": blobs where Perlin noise is high, of a foreign texture (DRAEM, arXiv 2108.07610)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ad_detectors.data.defects import noise
from ad_detectors.data.defects.draft import Draft, around, between
from ad_detectors.data.defects.textures import texture

FINEST_CELL = 6  # pixels
MOST_CELLS = 32  # over the longer side, as published
THRESHOLD = 0.5  # of noise between -1 and 1, as published
AREA = (0.004, 0.12)  # of the object that blobs cover
MOST_BLOBS = 12
OPACITY = (0.2, 0.9)


def perlin(image: NDArray[np.uint8], ground: NDArray[np.bool_], random: np.random.Generator) -> Draft:
    """Return blobs of a foreign texture."""
    region = _region(ground, random)
    box = around(region)
    opacity = np.float32(random.uniform(*OPACITY))
    foreign = texture(image, ground, random)[:, *box].astype(np.float32)
    own = image[:, *box].astype(np.float32)
    # The edge is softened by a pixel: a camera would have seen it so.
    soft = ndimage.uniform_filter(region[box].astype(np.float32), 3) * opacity
    return Draft(box, own + soft * (foreign - own), region[box])


def _region(ground: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    height, width = ground.shape
    finest = math.log2(min(max(max(height, width) / FINEST_CELL, 2.0), MOST_CELLS))
    down, across = (2.0**exponent for exponent in random.uniform(0.0, finest, 2).tolist())
    octaves = int(random.integers(1, 3))
    heights = noise.clouds(random, height, width, (down, across), octaves)
    on_object = heights[ground]
    wanted, most = between(AREA, random) * len(on_object), AREA[1] * len(on_object)
    # Coarse noise may lie below the threshold everywhere, or above it almost everywhere.
    ranks = -max(1, int(wanted)), -max(1, int(most))
    highest, lowest = np.partition(on_object, ranks)[list(ranks)].tolist()
    blobs, count = ndimage.label((heights >= min(max(THRESHOLD, lowest), highest)) & ground)
    areas = np.bincount(blobs.ravel(), minlength=count + 1)
    kept = np.zeros(count + 1, np.bool_)
    # Large blobs first half of the time: else the many specks would crowd them out.
    order = (
        np.argsort(-areas[1:], kind="stable") + 1 if random.random() < 0.5 else random.permutation(count) + 1
    )
    enough = int(np.searchsorted(np.cumsum(areas[order]), wanted)) + 1
    kept[order[: min(enough, int(random.integers(1, MOST_BLOBS + 1)))]] = True
    chosen: NDArray[np.bool_] = kept[blobs]
    return chosen
