"""The shape of a screw as a distance: how far a point is from its surface."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.synth.flaws import Flaw
from ad_detectors.data.synth.scene import Make

Floats = NDArray[np.float32]
POINTS = 2048  # of the tables along the axis
START, END = -0.1, 1.1  # of the axis that the tables cover
RIM = 0.012  # height of the head's cylindrical edge
CREST = 0.16  # half the width of a turn, in pitches
DEPTH = 0.03  # of the recess
NEAR = 0.004  # within which the turns of the thread matter


class Shape:
    """A screw of some make with some flaw, rolled about its axis."""

    def __init__(self, make: Make, roll: float, flaw: Flaw) -> None:
        self.make, self.roll, self.flaw = make, roll, flaw
        ends = flaw.axis(np.ones(1, np.float32))
        self.spread = 0.0 if ends is None else float(np.hypot(*ends)[0])  # of a bent axis
        self._core, self._ridge = _profile(make)
        self._outline = self._core + self._ridge
        slope = np.gradient(self._outline, (END - START) / POINTS)
        # Times this, a distance from the axis is one from the surface: the search never steps through it.
        self._flatness = (1 / np.sqrt(1 + slope * slope)).astype(np.float32)

    def distance(self, u: Floats, v: Floats, w: Floats) -> Floats:
        """Return a number that is zero on the surface, and never more than the distance outside it."""
        v, w = self._straight(u, v, w)
        radius = np.sqrt(v * v + w * w)
        place = _place(u)
        index = place.astype(np.intp)
        distance: Floats = (radius - self._outline[index]) * self._flatness[index]
        near = np.flatnonzero(distance < NEAR)
        if len(near):
            surface = self._radius(u[near], np.arctan2(w[near], v[near]), place[near])
            # The flanks of a turn are about three times as steep as they are wide.
            distance[near] = np.minimum((radius[near] - surface) * np.float32(0.33), np.float32(NEAR))
        distance = np.maximum(distance, -u)
        return self._carved(u, v, w, distance)

    def surface(self, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Return, for points of the surface: phi, and how deep they lie between the turns, 0..1."""
        v, w = self._straight(u, v, w)
        place = _place(u)
        ridge = _read(self._ridge, place)
        below = _read(self._core, place) + ridge - np.sqrt(v * v + w * w)
        deep = np.where(ridge > np.float32(2e-3), below / np.maximum(ridge, np.float32(1e-3)), np.float32(0))
        return np.arctan2(w, v), np.clip(deep, 0, 1)

    def in_recess(self, u: Floats, v: Floats, w: Floats) -> NDArray[np.bool_]:
        """Say which points of the surface lie in the recess."""
        return (self._recess(v, w) < 1e-3) & (u > 2e-3) & (u < DEPTH + 5e-3)

    def _straight(self, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
        off = self.flaw.axis(u)
        return (v, w) if off is None else (v - off[0], w - off[1])

    def _radius(self, u: Floats, phi: Floats, place: Floats) -> Floats:
        turn = (u / np.float32(self.make.pitch) - (phi + np.float32(self.roll)) / np.float32(math.tau)) % 1.0
        flank = np.maximum(1.0 - np.abs(turn - np.float32(0.5)) / np.float32(CREST), 0)
        height: Floats = np.minimum(flank * np.float32(1.2), 1.0) * _read(self._ridge, place)
        left = self.flaw.turns(u, phi)
        radius = _read(self._core, place) + (height if left is None else height * left)
        sunk = self.flaw.sunk(u, phi)
        return radius if sunk is None else radius - sunk

    def _carved(self, u: Floats, v: Floats, w: Floats, distance: Floats) -> Floats:
        recess = np.maximum(self._recess(v, w), u - np.float32(DEPTH))
        distance = np.maximum(distance, np.float32(0.7) * -recess)
        missing = self.flaw.carved(u, v, w)
        return distance if missing is None else np.maximum(distance, np.float32(0.6) * missing)

    def _recess(self, v: Floats, w: Floats) -> Floats:
        """Return how far outside the outline of the drive a point of the head's face is."""
        sine, cosine = np.float32(math.sin(self.roll)), np.float32(math.cos(self.roll))
        x, y = cosine * v - sine * w, sine * v + cosine * w
        size = np.float32(self.make.head)
        if self.make.drive == "slot":
            return np.maximum(np.abs(x) - 0.62 * size, np.abs(y) - 0.15 * size)
        if self.make.drive == "cross":
            return np.minimum(
                np.maximum(np.abs(x) - 0.6 * size, np.abs(y) - 0.13 * size),
                np.maximum(np.abs(y) - 0.6 * size, np.abs(x) - 0.13 * size),
            )
        if self.make.drive == "hexagon":
            leaning = np.float32(math.sqrt(3) / 2) * np.abs(x) + np.float32(0.5) * np.abs(y)
            return np.maximum(leaning, np.abs(y)) - 0.45 * size
        lobes = np.cos(np.float32(6.0) * np.arctan2(y, x))
        star: Floats = np.sqrt(x * x + y * y) - size * (np.float32(0.46) + np.float32(0.08) * lobes)
        return star * np.float32(0.7)


def _profile(make: Make) -> tuple[Floats, Floats]:
    """Return the radius of the core and the height of the thread along the axis."""
    u = np.linspace(START, END, POINTS + 1)
    flare = np.clip((make.neck - u) / (make.neck - RIM), 0, 1)  # 1 at the rim, 0 at the neck
    head = make.shank + (make.head - make.shank) * (0.55 * flare + 0.45 * flare**2.2)
    # The step from shank to core is a short cone.
    step = np.clip((u - make.thread) / 0.012 + 0.5, 0, 1)
    body = make.shank + (make.core - make.shank) * step
    tip = np.clip((1.0 - u) / (1.0 - make.taper), None, 1)
    core = np.where(u < make.neck, head, body * np.where(tip > 0, np.abs(tip) ** 0.85, tip))
    begin = np.clip((u - make.thread) / make.pitch, 0, 1)
    end = np.clip((1.005 - u) / (1.0 - make.taper), 0, 1) ** 0.7
    return core.astype(np.float32), (make.ridge * begin * end).astype(np.float32)


def _place(u: Floats) -> Floats:
    """Return where in the tables a point of the axis lies."""
    place: Floats = np.clip((u - np.float32(START)) * np.float32(POINTS / (END - START)), 0, POINTS - 1)
    return place


def _read(table: Floats, place: Floats) -> Floats:
    """Read a table between its points."""
    index = place.astype(np.intp)
    low = table[index]
    result: Floats = low + (place - index.astype(np.float32)) * (table[index + 1] - low)
    return result
