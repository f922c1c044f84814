"""How the metal of a screw looks where a ray has met it: brightness and colour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ad_detectors.data.synth.scene import Light
from ad_detectors.data.synth.shape import DEPTH, Shape
from ad_detectors.data.synth.tracing import Hits

Floats = NDArray[np.float32]
TEXTURE = (512, 128)  # along the axis, about it
ZINC = (0.99, 1.0, 1.01)  # colour of the coat, per channel
SHIMMER = (0.012, 0.0, -0.022)
IRON = (1.01, 1.0, 0.985)
BROWN = (1.11, 0.98, 0.86)


def colours(shape: Shape, hits: Hits, light: Light, random: np.random.Generator) -> Floats:  # (3, N)
    """Return the colours of what was hit, 1 being as bright as white paper."""
    phi, deep = shape.surface(hits.u, hits.v, hits.w)
    turn = (phi + np.float32(shape.roll)) / np.float32(math.tau) % 1.0
    worn, mottled = _textures(random)
    bare = _or_zero(shape.flaw.bare(hits.u, phi), hits.u)
    rusty = _or_zero(shape.flaw.rusty(hits.u, phi), hits.u)
    grain = _read(worn, hits.u, turn)
    spots = _read(mottled, hits.u, turn)
    normals = hits.normals
    # Turning leaves fine rings: they scatter what is reflected along the axis.
    gloss = np.clip(1.0 - 0.55 * bare - 0.85 * rusty + 0.1 * spots, 0.05, 1.2)
    brightness = _lit(normals, light, gloss)
    brightness = brightness * (1.0 + (0.09 + 0.1 * bare + 0.1 * rusty) * grain + 0.09 * spots)
    brightness = brightness * (1.0 - 0.25 * deep) + 0.10 * bare
    brightness = brightness * (1.0 - 0.28 * rusty)
    inside = shape.in_recess(hits.u, hits.v, hits.w)
    brightness = np.where(inside, brightness * (0.6 - 0.35 * hits.u / np.float32(DEPTH)), brightness)
    # A coat of zinc shimmers, here a little blue, there a little yellow.
    coat = np.array(ZINC)[:, None] + np.array(SHIMMER)[:, None] * spots
    tint = _mixed(_mixed(coat, np.array(IRON), bare), np.array(BROWN), rusty)
    result: Floats = (np.maximum(brightness, 0.01) * tint).astype(np.float32)
    return result


def _lit(normals: Floats, light: Light, gloss: Floats) -> Floats:
    """Return what a metal reflects: lamp and ceiling above, the dark room at the sides, the table below."""
    x, y, z = normals
    lamp = _direction(light.azimuth, light.height)
    diffuse = np.maximum(x * lamp[0] + y * lamp[1] + z * lamp[2], 0)
    # The camera looks straight down: it sees each normal reflect (2 z x, 2 z y, 2 z z - 1).
    away = 2.0 * z * z - 1.0
    seen = 2.0 * z * x, 2.0 * z * y, away
    broad = _power(seen, lamp, 3)
    narrow = sum((_power(seen, _direction(*window), 6) for window in light.windows), np.zeros_like(z))
    ceiling = np.clip(0.5 + 0.5 * away, 0, 1)
    table = np.clip(-away, 0, 1)
    room = 0.19 + 0.26 * ceiling * ceiling + 0.10 * table * light.table
    result: Floats = light.fill * room + light.strength * (
        0.16 * diffuse + gloss * (0.22 * broad + 0.16 * narrow)
    )
    return result


def _power(seen: tuple[Floats, Floats, Floats], lamp: tuple[float, float, float], doublings: int) -> Floats:
    """Return the cosine between two directions to the power 2**doublings: a lamp's highlight."""
    cosine: Floats = np.maximum(seen[0] * lamp[0] + seen[1] * lamp[1] + seen[2] * lamp[2], 0)
    for _ in range(doublings):
        cosine = cosine * cosine
    return cosine


def _direction(azimuth: float, height: float) -> tuple[float, float, float]:
    flat = math.cos(height)
    return flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(height)


def _textures(random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return (fine, coarse) noise over the unrolled surface, of about unit strength."""
    fine = random.standard_normal(TEXTURE, np.float32)
    rings = random.standard_normal((TEXTURE[0], 1), np.float32)
    fine = 0.8 * ndimage.gaussian_filter(fine, (0.6, 1.5), mode="wrap") / 0.35 + 0.6 * rings
    coarse = ndimage.gaussian_filter(random.standard_normal((128, 64), np.float32), (1.5, 2.5), mode="wrap")
    coarse = np.repeat(np.repeat(coarse / coarse.std(), 4, axis=0), 2, axis=1)
    return fine.astype(np.float32), ndimage.uniform_filter(coarse, (4, 2), mode="wrap")


def _read(texture: Floats, u: Floats, turn: Floats) -> Floats:
    rows = (np.clip(u, 0, 0.9999) * TEXTURE[0]).astype(np.int32)
    columns = (turn * TEXTURE[1]).astype(np.int32) % TEXTURE[1]
    result: Floats = texture[rows, columns]
    return result


def _mixed(first: Floats, second: Floats, share: Floats) -> Floats:  # (3, N)
    result: Floats = first + share[None] * (second[:, None] - first)
    return result


def _or_zero(values: Floats | None, like: Floats) -> Floats:
    return np.zeros_like(like) if values is None else values
