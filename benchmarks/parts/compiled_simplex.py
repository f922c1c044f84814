"""Legacy OpenSimplex as published for AnoDDPM: place by place, compiled by numba, rows in parallel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from parts.peer_coreset import PeerMissing

try:
    from numba import njit, prange
except ImportError as error:
    raise PeerMissing("numba is not installed: `pip install numba`") from error

from ad_detectors.diffusion.simplex.permutations import permutations

SIGNS = [(x, y, z) for z in (1, -1) for y in (1, -1) for x in (-1, 1)]
GRADIENTS = np.array(
    [
        [s * (11 if axis == long else 4) for axis, s in enumerate(three)]
        for three in SIGNS
        for long in range(3)
    ],
    np.float64,
)
STRETCH, SQUISH = -1.0 / 6, 1.0 / 3


@njit(cache=True)
def _heard(perm: Any, base: Any, apart: Any, i: int, j: int, k: int) -> float:
    """Return what the lattice point at an offset contributes."""
    moved = (i + j + k) * SQUISH
    dx, dy, dz = apart[0] - i - moved, apart[1] - j - moved, apart[2] - k - moved
    loud = 2.0 - dx * dx - dy * dy - dz * dz
    if loud <= 0.0:
        return 0.0
    place = perm[(perm[(perm[(base[0] + i) & 255] + base[1] + j) & 255] + base[2] + k) & 255] % 24
    loud *= loud
    return loud * loud * (GRADIENTS[place, 0] * dx + GRADIENTS[place, 1] * dy + GRADIENTS[place, 2] * dz)


@njit(cache=True)
def _tetrahedron(perm: Any, base: Any, apart: Any, v: Any, spare: float, tip: int) -> float:
    """Return what the six points around a tetrahedron contribute: at the origin, or at (1, 1, 1)."""
    sign = 1 - 2 * tip
    value = _heard(perm, base, apart, tip, tip, tip)
    for axis in range(3):
        e = (1 if axis == 0 else 0, 1 if axis == 1 else 0, 1 if axis == 2 else 0)
        value += _heard(perm, base, apart, tip + sign * e[0], tip + sign * e[1], tip + sign * e[2])
    a, b = 0, 1
    if v[0] >= v[1] and v[2] > v[1]:
        b = 2
    elif v[0] < v[1] and v[2] > v[0]:
        a = 2
    third = 3 - a - b
    if spare > v[a] or spare > v[b]:
        most = b if v[b] > v[a] else a
        for other in range(3):
            if other != most:
                x = (1 if most == 0 else 0) - (1 if other == 0 else 0)
                y = (1 if most == 1 else 0) - (1 if other == 1 else 0)
                z = (1 if most == 2 else 0) - (1 if other == 2 else 0)
                value += _heard(perm, base, apart, tip + sign * x, tip + sign * y, tip + sign * z)
        return value
    for last in range(2):
        x = 1 - (1 + last) * (1 if third == 0 else 0)
        y = 1 - (1 + last) * (1 if third == 1 else 0)
        z = 1 - (1 + last) * (1 if third == 2 else 0)
        value += _heard(perm, base, apart, tip + sign * x, tip + sign * y, tip + sign * z)
    return value


@njit(cache=True)
def _octahedron(perm: Any, base: Any, apart: Any, v: Any) -> float:
    """Return what the eight points around an octahedron contribute."""
    value = 0.0
    for axis in range(3):
        x, y, z = 1 if axis == 0 else 0, 1 if axis == 1 else 0, 1 if axis == 2 else 0
        value += _heard(perm, base, apart, x, y, z) + _heard(perm, base, apart, 1 - x, 1 - y, 1 - z)
    pairs = (v[1] + v[2] - 1.0, v[0] + v[2] - 1.0, v[0] + v[1] - 1.0)
    a, b = 2, 1
    if abs(pairs[a]) <= abs(pairs[b]) and abs(pairs[a]) < abs(pairs[0]):
        a = 0
    elif abs(pairs[a]) > abs(pairs[b]) and abs(pairs[b]) < abs(pairs[0]):
        b = 0
    third, far_a, far_b = 3 - a - b, pairs[a] > 0.0, pairs[b] > 0.0
    if far_a == far_b:
        tip = 1 if far_a else 0
        value += _heard(perm, base, apart, tip, tip, tip)
        low, high = (0, 2) if far_a else (1, -1)
        axis = third
    else:
        far, axis = (a, b) if far_a else (b, a)
        x, y, z = -1 if far == 0 else 1, -1 if far == 1 else 1, -1 if far == 2 else 1
        value += _heard(perm, base, apart, x, y, z)
        low, high = 0, 2
    x = high if axis == 0 else low
    y = high if axis == 1 else low
    z = high if axis == 2 else low
    return value + _heard(perm, base, apart, x, y, z)


@njit(cache=True)
def _noise(perm: Any, x: float, y: float, z: float) -> float:
    stretch = (x + y + z) * STRETCH
    xs, ys, zs = x + stretch, y + stretch, z + stretch
    i, j, k = np.floor(xs), np.floor(ys), np.floor(zs)
    squish = (i + j + k) * SQUISH
    apart = (x - i - squish, y - j - squish, z - k - squish)
    v, base = (xs - i, ys - j, zs - k), (int(i), int(j), int(k))
    total = v[0] + v[1] + v[2]
    if total <= 1.0:
        return _tetrahedron(perm, base, apart, v, 1.0 - total, 0) / 103.0
    if total >= 2.0:
        return _tetrahedron(perm, base, apart, (-v[0], -v[1], -v[2]), total - 3.0, 1) / 103.0
    return _octahedron(perm, base, apart, v) / 103.0


@njit(cache=True, parallel=True)
def _plane(perm: Any, side: int, wavelength: float, t: float) -> Any:
    result = np.empty((side, side))
    for row in prange(side):
        for column in range(side):
            result[row, column] = _noise(perm, column / wavelength, row / wavelength, t / wavelength)
    return result


def field(
    seed: int, side: int, t: float, octaves: int, persistence: float, wavelength: float
) -> NDArray[Any]:
    """Return one field, octave after octave."""
    perm = permutations([seed])[0].astype(np.int64)
    total = np.zeros((side, side))
    for k in range(octaves):
        total += persistence**k * _plane(perm, side, wavelength / 2**k, t)
    return total
