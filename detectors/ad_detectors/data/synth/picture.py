"""From a scene to pixels: the screw on its table, its shadow, the lens and the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ad_detectors.data.synth.flaws import Flaw
from ad_detectors.data.synth.metal import colours
from ad_detectors.data.synth.scene import Light, Scene
from ad_detectors.data.synth.shape import Shape
from ad_detectors.data.synth.tracing import trace

Floats = NDArray[np.float32]
RAYS = 512  # across the picture, where 2 to 4 for a pixel allow it
REFERENCE = 256  # pixels that blur and shadow are given for


@dataclass(frozen=True)
class Picture:
    """A picture before the sensor adds its noise."""

    colours: Floats  # (3, H, W), 0..1
    cover: Floats  # (H, W), how much of a pixel the screw covers


def render(scene: Scene, size: int, flaw: Flaw | None = None) -> Picture:
    """Return a size x size picture of a scene, with a flaw in its screw or without."""
    factor = min(max(2, -(-RAYS // size)), 4)
    side = size * factor
    shape = Shape(scene.make, scene.pose.roll, Flaw() if flaw is None else flaw)
    hits = trace(shape, scene.pose, side)
    metal = np.zeros((3, side * side), np.float32)
    metal[:, hits.rays] = colours(shape, hits, scene.light, np.random.default_rng([scene.grain, 1]))
    covered = np.zeros(side * side, np.float32)
    covered[hits.rays] = 1
    cover = _shrunk(covered.reshape(1, side, side), factor)[0]
    table = _table(scene, size) * _shadow(cover, scene)
    seen = _shrunk(metal.reshape(3, side, side), factor) + (1 - cover) * table
    return Picture(_through_lens(seen, scene.light), cover)


def exposed(picture: Picture, scene: Scene) -> NDArray[np.uint8]:  # (H, W, 3)
    """Return what the sensor makes of a picture: the same noise for the same scene."""
    random = np.random.default_rng([scene.grain, 2])
    shape = picture.cover.shape
    grey = random.standard_normal(shape, np.float32) * np.float32(0.8 * scene.light.noise)
    own = random.standard_normal((3, *shape), np.float32) * np.float32(0.5 * scene.light.noise)
    levels = picture.colours * np.float32(255) + grey + own
    return np.ascontiguousarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _shrunk(fine: Floats, factor: int) -> Floats:
    """Return the mean of every factor x factor rays."""
    channels, height, width = fine.shape
    total: Floats = np.zeros((channels, height // factor, width // factor), np.float32)
    for row in range(factor):
        for column in range(factor):
            total += fine[:, row::factor, column::factor]
    total /= factor**2
    return total


def _table(scene: Scene, size: int) -> Floats:  # (3, H, W)
    """Return the table: unevenly lit, faintly stained, with a few specks of dust."""
    random = np.random.default_rng([scene.grain, 3])
    light = scene.light
    line = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    even = light.table + light.slope[0] * line[None, :] + light.slope[1] * line[:, None]
    coarse = ndimage.gaussian_filter(random.standard_normal((REFERENCE // 4, REFERENCE // 4), np.float32), 2)
    coarse = ndimage.uniform_filter(np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1), 5)
    fine = ndimage.gaussian_filter(random.standard_normal((REFERENCE, REFERENCE), np.float32), 1.2)
    stains = 0.55 * coarse + 0.30 * fine
    specks = np.zeros((REFERENCE, REFERENCE), np.float32)
    for row, column, depth in random.random((int(random.integers(6, 20)), 3)).tolist():
        specks[int(row * REFERENCE), int(column * REFERENCE)] = depth
    specks = ndimage.gaussian_filter(specks, 0.7)
    place = (np.arange(size) * REFERENCE // size).astype(np.intp)
    surface = (0.05 * stains - 0.35 * specks)[place[:, None], place]
    tint = np.array([1 + light.warmth, 1, 1 - light.warmth], np.float32)
    result: Floats = ((even + surface)[None] * tint[:, None, None]).astype(np.float32)
    return result


def _shadow(cover: Floats, scene: Scene) -> Floats:
    """Return how much light the screw leaves the table, 0..1: a wide soft shadow and one where they touch."""
    size = cover.shape[0]
    light, unit = scene.light, size / REFERENCE
    reach = 7.0 * unit / math.tan(light.height)
    shift = (-reach * math.sin(light.azimuth), -reach * math.cos(light.azimuth))
    soft = ndimage.gaussian_filter(cover, 12.0 * unit, truncate=2.5)
    cast = ndimage.shift(ndimage.gaussian_filter(cover, 4.0 * unit, truncate=2.5), shift, order=1)
    result: Floats = (1 - 0.30 * soft) * (1 - 0.22 * light.strength * cast)
    return result


def _through_lens(seen: Floats, light: Light) -> Floats:
    size = seen.shape[-1]
    line = np.linspace(-1, 1, size, dtype=np.float32)
    far = line[:, None] ** 2 + line[None, :] ** 2
    dimmed = seen * np.float32(light.exposure) * (1 - np.float32(light.vignette / 2) * far)
    sigma = light.blur * size / REFERENCE
    result: Floats = ndimage.gaussian_filter(dimmed, (0, sigma, sigma))
    return result
