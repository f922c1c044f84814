"""What can be wrong with a screw: each kind changes its shape, its surface, or both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.synth.scene import Make

Floats = NDArray[np.float32]
FACING = math.pi / 2  # the angle about the axis that the camera looks at


class Flaw:
    """Nothing wrong; what a kind of flaw changes it overrides.

    `u` runs along the axis from the head (0) to the tip (1), `v` across it in the picture, `w` towards the
    camera, `phi` about it; the unit is the length of the screw.
    """

    def axis(self, u: Floats) -> tuple[Floats, Floats] | None:
        """Return by how much (v, w) the axis is off where it should be."""
        del u
        return None

    def turns(self, u: Floats, phi: Floats) -> Floats | None:
        """Return what share of the thread's height is left."""
        del u, phi
        return None

    def sunk(self, u: Floats, phi: Floats) -> Floats | None:
        """Return how much lower the surface is."""
        del u, phi
        return None

    def carved(self, u: Floats, v: Floats, w: Floats) -> Floats | None:
        """Return the distance into what is missing: positive there, negative in what is left."""
        del u, v, w
        return None

    def bare(self, u: Floats, phi: Floats) -> Floats | None:
        """Return how bare of its coat the metal is, 0..1: rough and a little lighter."""
        del u, phi
        return None

    def rusty(self, u: Floats, phi: Floats) -> Floats | None:
        """Return how rusty the surface is, 0..1: darker, dull and a little brown."""
        del u, phi
        return None


@dataclass(frozen=True)
class FlattenedThread(Flaw):
    """A few turns hammered down on one side."""

    u: float
    phi: float
    reach: float
    width: float
    left: float

    def turns(self, u: Floats, phi: Floats) -> Floats:
        """Return what share of the thread's height is left."""
        return 1.0 - (1.0 - self.left) * self._hit(u, phi)

    def bare(self, u: Floats, phi: Floats) -> Floats:
        """Return that hammered crests are a little bare."""
        return 0.35 * self._hit(u, phi)

    def _hit(self, u: Floats, phi: Floats) -> Floats:
        return _bump((u - self.u) / self.reach) * _bump(_turn(phi - self.phi) / self.width)


@dataclass(frozen=True)
class Scratch(Flaw):
    """Grooves side by side, with bare and rough metal in them."""

    u: float
    phi: float
    slant: float
    reach: float
    width: float
    depth: float
    radius: float
    offsets: tuple[float, ...]

    def sunk(self, u: Floats, phi: Floats) -> Floats:
        """Return how deep the grooves are."""
        return self.depth * self._grooves(u, phi)

    def bare(self, u: Floats, phi: Floats) -> Floats:
        """Return that the grooves are bare."""
        return 0.8 * self._grooves(u, phi)

    def _grooves(self, u: Floats, phi: Floats) -> Floats:
        along_axis, about = u - self.u, _turn(phi - self.phi) * self.radius
        along: Floats = math.cos(self.slant) * along_axis + math.sin(self.slant) * about
        across: Floats = math.cos(self.slant) * about - math.sin(self.slant) * along_axis
        ends = _bump(along / self.reach)
        wave: Floats = np.sin(along * np.float32(5.0 / self.reach))
        wobble: Floats = across + np.float32(0.25 * self.width) * wave
        strongest: Floats = np.zeros_like(across)
        for offset in self.offsets:
            groove: Floats = (wobble - np.float32(offset)) / np.float32(self.width)
            strongest = np.maximum(strongest, _bump(groove))
        result: Floats = strongest * ends
        return result


@dataclass(frozen=True)
class BrokenTip(Flaw):
    """The tip is off; the break is rough and slanted."""

    u: float
    slant: float
    phi: float

    def carved(self, u: Floats, v: Floats, w: Floats) -> Floats:
        """Return the distance beyond the break."""
        lean = math.cos(self.phi) * v + math.sin(self.phi) * w
        rough = 0.004 * np.sin(v * 310.0 + 1.0) * np.cos(w * 270.0 + self.phi)
        result: Floats = u - (self.u + self.slant * lean + rough)
        return result


@dataclass(frozen=True)
class Bent(Flaw):
    """The front is bent to one side."""

    u: float
    curve: float
    phi: float

    def axis(self, u: Floats) -> tuple[Floats, Floats]:
        """Return how far the axis has left its line."""
        beyond = np.maximum(u - self.u, 0)
        off = self.curve * beyond * beyond
        return math.cos(self.phi) * off, math.sin(self.phi) * off


@dataclass(frozen=True)
class ChippedHead(Flaw):
    """A piece has broken out of the head's rim."""

    u: float
    v: float
    w: float
    size: float
    stretch: float

    def carved(self, u: Floats, v: Floats, w: Floats) -> Floats:
        """Return the distance into the missing piece."""
        du, dv, dw = (u - self.u) / self.stretch, v - self.v, w - self.w
        rough = 0.1 * self.size * np.sin(u * 330.0) * np.sin(v * 290.0 + w * 250.0)
        result: Floats = self.size + rough - np.sqrt(du * du + dv * dv + dw * dw)
        return result


@dataclass(frozen=True)
class Rust(Flaw):
    """Rust has grown from a few spots."""

    spots: tuple[tuple[float, float, float], ...]  # u, phi and radius of each
    radius: float
    depth: float = field(default=0.0008)

    def sunk(self, u: Floats, phi: Floats) -> Floats:
        """Return that rust is pitted."""
        return self.depth * self.rusty(u, phi)

    def rusty(self, u: Floats, phi: Floats) -> Floats:
        """Return how rusty the surface is."""
        most = np.zeros_like(u)
        for spot_u, spot_phi, size in self.spots:
            du, about = u - spot_u, _turn(phi - spot_phi) * self.radius
            ragged = 1.0 + 0.35 * np.sin(du * 260.0 + 3.0 * np.sin(about * 190.0)) * np.cos(about * 230.0)
            distance: Floats = np.sqrt(du * du + about * about) * ragged / np.float32(size)
            most = np.maximum(most, _bump(distance))
        result: Floats = np.minimum(1.6 * most, 1.0)
        return result


def _flattened_thread(make: Make, random: np.random.Generator) -> Flaw:
    side = FACING + random.choice([-1.0, 1.0]) * random.uniform(0.5, 1.3)
    place = random.uniform(make.thread + 0.08, make.taper - 0.03)
    reach, width = make.pitch * random.uniform(0.9, 1.7), random.uniform(0.8, 1.3)
    return FlattenedThread(place, side, reach, width, left=random.uniform(0.0, 0.25))


def _scratch_neck(make: Make, random: np.random.Generator) -> Flaw:
    return Scratch(
        u=random.uniform(make.neck + 0.06, make.thread - 0.08),
        phi=FACING + random.uniform(-0.5, 0.5),
        slant=random.uniform(0.0, math.pi),
        reach=random.uniform(0.04, 0.075),
        width=random.uniform(0.006, 0.010),
        depth=random.uniform(0.006, 0.010),
        radius=make.shank,
        offsets=_offsets(random),
    )


def _scratch_head(make: Make, random: np.random.Generator) -> Flaw:
    return Scratch(
        u=random.uniform(0.025, 0.055),
        phi=FACING + random.uniform(-0.7, 0.7),
        slant=random.uniform(0.0, math.pi),
        reach=random.uniform(0.04, 0.08),
        width=random.uniform(0.008, 0.013),
        depth=random.uniform(0.007, 0.012),
        radius=0.7 * make.head,
        offsets=_offsets(random),
    )


def _broken_tip(make: Make, random: np.random.Generator) -> Flaw:
    place = random.uniform(make.taper + 0.03, 0.95)
    return BrokenTip(place, random.uniform(-0.6, 0.6), random.uniform(0.0, math.tau))


def _bent(make: Make, random: np.random.Generator) -> Flaw:
    start = random.uniform(make.thread, make.thread + 0.2)
    off = random.uniform(0.035, 0.06)  # of the tip: seen from above if it goes sideways
    side = random.choice([0.0, math.pi]) + random.uniform(-0.6, 0.6)
    return Bent(start, off / (1.0 - start) ** 2, side)


def _chipped_head(make: Make, random: np.random.Generator) -> Flaw:
    phi = FACING + random.choice([-1.0, 1.0]) * random.uniform(0.3, 1.45)
    size = random.uniform(0.024, 0.042)
    v, w = make.head * math.cos(phi), make.head * math.sin(phi)
    return ChippedHead(random.uniform(0.0, 0.02), v, w, size, random.uniform(0.8, 1.6))


def _rust(make: Make, random: np.random.Generator) -> Flaw:
    place = random.uniform(make.neck, make.taper - 0.1)
    spots = tuple(
        (place + random.normal(0.0, 0.02), FACING + random.normal(0.0, 0.5), random.uniform(0.012, 0.03))
        for _ in range(int(random.integers(3, 7)))
    )
    return Rust(spots, make.shank)


def _offsets(random: np.random.Generator) -> tuple[float, ...]:
    """Return where parallel grooves lie: one to three of them, close together."""
    return (0.0, *random.uniform(-0.026, 0.026, int(random.integers(0, 3))).tolist())


def _bump(x: Floats) -> Floats:
    """Return 1 at 0, falling smoothly to 0 at -1 and 1."""
    inside = np.maximum(1.0 - x * x, 0)
    result: Floats = inside * inside
    return result


def _turn(angle: Floats) -> Floats:
    """Return an angle between -pi and pi."""
    result: Floats = (angle + np.float32(math.pi)) % np.float32(math.tau) - np.float32(math.pi)
    return result


KINDS: Mapping[str, Callable[[Make, np.random.Generator], Flaw]] = {
    "bent": _bent,
    "broken_tip": _broken_tip,
    "chipped_head": _chipped_head,
    "flattened_thread": _flattened_thread,
    "rust": _rust,
    "scratch_head": _scratch_head,
    "scratch_neck": _scratch_neck,
}
