"""Legacy OpenSimplex noise, one place at a time, in plain numbers: what fields are held to."""

from __future__ import annotations

import math

Point = tuple[int, ...]
SIGNS = [(x, y, z) for z in (1, -1) for y in (1, -1) for x in (-1, 1)]
GRADIENTS = [
    tuple(sign * (11 if axis == long else 4) for axis, sign in enumerate(three))
    for three in SIGNS
    for long in range(3)
]
AXES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def wrapped(number: int) -> int:
    number %= 2**64
    return number - 2**64 if number >= 2**63 else number


def permutation(seed: int) -> list[int]:
    def step(state: int) -> int:
        return wrapped(state * 6364136223846793005 + 1442695040888963407)

    state = step(step(step(seed)))
    source, result = list(range(256)), [0] * 256
    for last in range(255, -1, -1):
        state = step(state)
        chosen = (state + 31) % (last + 1)
        result[last], source[chosen] = source[chosen], source[last]
    return result


def added(*terms: tuple[int, Point]) -> Point:
    return tuple(sum(factor * point[axis] for factor, point in terms) for axis in range(3))


def beside_the_origin(inside: tuple[float, ...], spare: float) -> list[Point]:
    """The two points that a place in the tetrahedron at the origin hears besides its corners."""
    x, y, z = inside
    a, b = 0, 1  # the two axes along which it lies farthest
    if x >= y and z > y:
        b = 2
    elif x < y and z > x:
        a = 2
    third = 3 - a - b
    if spare > inside[a] or spare > inside[b]:
        most = b if inside[b] > inside[a] else a
        return [added((1, AXES[most]), (-1, AXES[other])) for other in range(3) if other != most]
    edge = added((1, AXES[a]), (1, AXES[b]))
    return [edge, added((1, edge), (-1, AXES[third]))]


def beside_an_octahedron(inside: tuple[float, ...]) -> list[Point]:
    x, y, z = inside
    pairs = {2: x + y - 1, 1: x + z - 1, 0: y + z - 1}  # by the axis a pair of corners lies on
    a, b = 2, 1
    if abs(pairs[a]) <= abs(pairs[b]) and abs(pairs[a]) < abs(pairs[0]):
        a = 0
    elif abs(pairs[a]) > abs(pairs[b]) and abs(pairs[b]) < abs(pairs[0]):
        b = 0
    ones, third = (1, 1, 1), AXES[3 - a - b]
    far = [axis for axis in (a, b) if pairs[axis] > 0]
    if len(far) == 2:
        return [ones, added((2, third))]
    if not far:
        return [(0, 0, 0), added((1, ones), (-2, third))]
    near = b if far == [a] else a
    return [added((1, ones), (-2, AXES[far[0]])), added((2, AXES[near]))]


def heard(inside: tuple[float, ...]) -> list[Point]:
    total, ones = inside[0] + inside[1] + inside[2], (1, 1, 1)
    opposite = [added((1, ones), (-1, axis)) for axis in AXES]
    if total <= 1:
        return [(0, 0, 0), *AXES, *beside_the_origin(inside, 1 - total)]
    if total >= 2:
        turned = (-inside[0], -inside[1], -inside[2])
        beside = beside_the_origin(turned, -(3 - total))
        return [ones, *opposite, *(added((1, ones), (-1, point)) for point in beside)]
    return [*AXES, *opposite, *beside_an_octahedron(inside)]


def noise(table: list[int], x: float, y: float, z: float) -> float:
    stretch = (x + y + z) * (-1.0 / 6)
    skewed = (x + stretch, y + stretch, z + stretch)
    base = tuple(math.floor(each) for each in skewed)
    inside = tuple(each - whole for each, whole in zip(skewed, base, strict=True))
    value = 0.0
    for offset in heard(inside):
        point = added((1, base), (1, offset))
        apart = [c - (p + sum(point) / 3) for c, p in zip((x, y, z), point, strict=True)]
        loud = 2 - sum(each * each for each in apart)
        if loud > 0:
            place = table[(table[(table[point[0] & 255] + point[1]) & 255] + point[2]) & 255] % 24
            value += loud**4 * sum(g * d for g, d in zip(GRADIENTS[place], apart, strict=True))
    return value / 103


def octaves(seed: int, x: int, y: int, t: float, count: int, persistence: float, wavelength: float) -> float:
    table, value = permutation(seed), 0.0
    for k in range(count):
        f = wavelength / 2**k
        value += persistence**k * noise(table, x / f, y / f, t / f)
    return value
