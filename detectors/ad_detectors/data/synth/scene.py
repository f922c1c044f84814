"""What differs from one normal picture to the next: how a screw lies, how it is lit, how its metal looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

HELD_ANGLE = math.radians(-35.0)  # in a fixture
DRIVES = ("star", "hexagon", "cross", "slot")


@dataclass(frozen=True)
class Make:
    """The dimensions all screws of a category share; the unit is the length of the screw."""

    drive: str  # one of DRIVES: the recess in the head
    head: float = 0.138  # radius
    neck: float = 0.105  # where the head's cone ends
    shank: float = 0.049  # radius
    thread: float = 0.44  # where the thread begins
    core: float = 0.042  # radius between the turns
    ridge: float = 0.023  # how far a turn stands out
    pitch: float = 0.060  # from turn to turn
    taper: float = 0.85  # where the tip begins
    fixture: Light | None = None  # the lights that never change, where a fixture holds every screw alike


@dataclass(frozen=True)
class Pose:
    """How a screw lies in the picture."""

    angle: float  # from head to tip, in radians
    tilt: float  # by which the head is nearer to the camera, in radians
    roll: float  # about its own axis, in radians
    x: float  # middle of the screw, in sides of the picture
    y: float
    length: float  # in sides of the picture


@dataclass(frozen=True)
class Light:
    """How it is lit and photographed."""

    azimuth: float  # of the lamp, in radians
    height: float  # of the lamp above the table, in radians
    strength: float  # of the lamp
    windows: tuple[tuple[float, float], ...]  # azimuth and height of narrower lights
    fill: float  # light from everywhere
    exposure: float
    warmth: float  # of all colours
    table: float  # brightness of the table, 0..1
    slope: tuple[float, float]  # of the table's brightness
    vignette: float
    blur: float  # of the lens, in pixels of a picture of 256
    noise: float  # of the sensor, in grey levels


@dataclass(frozen=True)
class Scene:
    """Everything a normal picture depends on."""

    make: Make
    pose: Pose
    light: Light
    grain: int  # seed of the textures of metal and table and of the sensor's noise


def draw_make(random: np.random.Generator) -> Make:
    """Draw what all screws of a category have in common."""
    return Make(
        drive=DRIVES[int(random.integers(len(DRIVES)))],
        head=random.uniform(0.132, 0.142),
        pitch=random.uniform(0.057, 0.064),
        thread=random.uniform(0.42, 0.47),
    )


def draw_scene(make: Make, random: np.random.Generator) -> Scene:
    """Draw one picture's scene."""
    pose, light = _draw_pose(make, random), draw_light(random)
    if make.fixture is not None:
        pose = _held(pose)
        light = replace(make.fixture, exposure=1.0 + (light.exposure - 1.0) / 4, noise=light.noise)
    return Scene(make, pose, light, grain=int(random.integers(2**62)))


def draw_light(random: np.random.Generator) -> Light:
    """Draw how a picture is lit and photographed."""
    return Light(
        azimuth=random.uniform(0.0, math.tau),
        height=math.radians(random.uniform(48.0, 72.0)),
        strength=random.uniform(0.75, 1.05),
        windows=tuple(
            (random.uniform(0.0, math.tau), math.radians(random.uniform(25.0, 75.0))) for _ in range(3)
        ),
        fill=random.uniform(0.9, 1.1),
        exposure=random.uniform(0.96, 1.04),
        warmth=random.uniform(-0.012, 0.018),
        table=random.uniform(0.76, 0.82),
        slope=(random.uniform(-0.05, 0.05), random.uniform(-0.05, 0.05)),
        vignette=random.uniform(0.06, 0.16),
        blur=random.uniform(0.35, 0.6),
        noise=random.uniform(1.2, 2.0),
    )


def _draw_pose(make: Make, random: np.random.Generator) -> Pose:
    angle = random.uniform(0.0, math.tau)
    length = random.uniform(0.74, 0.80)
    # Whatever its angle, the whole screw stays in the picture.
    room_x = 0.46 - length / 2 * abs(math.cos(angle)) - make.head * length * abs(math.sin(angle))
    room_y = 0.46 - length / 2 * abs(math.sin(angle)) - make.head * length * abs(math.cos(angle))
    return Pose(
        angle=angle,
        tilt=math.radians(random.uniform(13.0, 19.0)),
        roll=random.uniform(0.0, math.tau),
        x=0.5 + random.uniform(-1.0, 1.0) * min(0.07, max(0.0, room_x)),
        y=0.5 + random.uniform(-1.0, 1.0) * min(0.07, max(0.0, room_y)),
        length=length,
    )


def _held(pose: Pose) -> Pose:
    """Return the pose in a fixture: the same deviations, most of them taken away; the roll is left."""
    return replace(
        pose,
        angle=HELD_ANGLE + math.radians((pose.angle / math.tau - 0.5) * 4.0),
        tilt=math.radians(16.0) + (pose.tilt - math.radians(16.0)) / 6,
        x=0.5 + (pose.x - 0.5) / 7,
        y=0.5 + (pose.y - 0.5) / 7,
        length=0.77 + (pose.length - 0.77) / 6,
    )
