"""Which point of the screw each ray of the camera meets first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.synth.scene import Pose
from ad_detectors.data.synth.shape import Shape

Floats = NDArray[np.float32]
REACH = 0.16  # no part of a screw is farther from the axis
BODY_REACH = 0.072  # of shank and thread
HEAD_ENDS = -0.32  # from the middle, in the picture, at any tilt
STEPS = 72
SORTED_OUT = 3  # steps after which rays that are done are put aside
HIT = 4e-4
STEP_OF_NORMALS = 1.2e-3


@dataclass(frozen=True)
class Hits:
    """The rays that met the screw, and where."""

    rays: NDArray[np.intp]  # (N,) flat indices into the grid of rays
    u: Floats  # (N,) along the axis
    v: Floats  # across it
    w: Floats  # towards the camera
    normals: Floats  # (3, N) in the picture: right, down, towards the camera


def trace(shape: Shape, pose: Pose, side: int) -> Hits:
    """Send side x side parallel rays straight down and return what they hit."""
    rays, along, across = _candidates(pose, side, shape.spread)
    sine, cosine = np.float32(math.sin(pose.tilt)), np.float32(math.cos(pose.tilt))
    # A ray's points: u = along cos - z sin + 1/2, v = across, w = along sin + z cos.
    u, w = along * cosine + np.float32(0.5), along * sine
    z = _searched(shape, u, across, w, (sine, cosine))
    met = np.flatnonzero(~np.isnan(z))
    z, u, v, w = z[met], u[met], across[met], w[met]
    u, w = u - z * sine, w + z * cosine
    return Hits(rays[met], u, v, w, _normals(shape, pose, u, v, w))


def _searched(shape: Shape, u: Floats, v: Floats, w: Floats, tilt: tuple[np.float32, np.float32]) -> Floats:
    """Return the height at which each ray meets the screw, NaN where it does not."""
    sine, cosine = tilt
    found = np.full(len(u), np.nan, np.float32)
    z, last = (np.float32(REACH) - w) / cosine, (np.float32(-REACH) - w) / cosine
    rays = np.arange(len(u))
    for step in range(1, STEPS + 1):
        distance = shape.distance(u - z * sine, v, w + z * cosine)
        met = distance < np.float32(HIT)
        z = np.where(met, z, z - distance)
        if step % SORTED_OUT:
            continue
        found[rays[met]] = z[met]
        open_ = np.flatnonzero(~met & (z > last))
        rays, u, v, w, z, last = rays[open_], u[open_], v[open_], w[open_], z[open_], last[open_]
        if not len(rays):
            break
    return found


def _candidates(pose: Pose, side: int, spread: float) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the rays that come near the screw: index, and place along and across it in the picture."""
    line = ((np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)).astype(np.float32)
    x = (line - np.float32(pose.x)) / np.float32(pose.length)
    y = (line - np.float32(pose.y))[:, None] / np.float32(pose.length)
    sine, cosine = np.float32(math.sin(pose.angle)), np.float32(math.cos(pose.angle))
    along, across = cosine * x + sine * y, cosine * y - sine * x
    wide = np.where(along < np.float32(HEAD_ENDS), np.float32(REACH), np.float32(BODY_REACH + spread))
    near = (np.abs(across) < wide) & (np.abs(along) < np.float32(0.56))
    rays = np.flatnonzero(near)
    return rays, along.ravel()[rays], across.ravel()[rays]


def _normals(shape: Shape, pose: Pose, u: Floats, v: Floats, w: Floats) -> Floats:
    """Return unit normals in the picture's frame, by differences."""
    h = np.float32(STEP_OF_NORMALS)
    du = shape.distance(u + h, v, w) - shape.distance(u - h, v, w)
    dv = shape.distance(u, v + h, w) - shape.distance(u, v - h, w)
    dw = shape.distance(u, v, w + h) - shape.distance(u, v, w - h)
    norm = np.maximum(np.sqrt(du * du + dv * dv + dw * dw), np.float32(1e-9))
    du, dv, dw = du / norm, dv / norm, dw / norm
    turn, lean = (math.cos(pose.angle), math.sin(pose.angle)), (math.cos(pose.tilt), math.sin(pose.tilt))
    in_plane = du * np.float32(lean[0]) + dw * np.float32(lean[1])
    return np.stack(
        [
            in_plane * np.float32(turn[0]) - dv * np.float32(turn[1]),
            in_plane * np.float32(turn[1]) + dv * np.float32(turn[0]),
            dw * np.float32(lean[0]) - du * np.float32(lean[1]),
        ]
    )
