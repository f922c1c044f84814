"""A screw with a defect, and which pixels show it: those that differ from the same scene without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ad_detectors.data.synth.flaws import KINDS
from ad_detectors.data.synth.picture import REFERENCE, Picture, exposed, render
from ad_detectors.data.synth.scene import Make, draw_scene
from ad_detectors.errors import DataError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SEEN = 9.0  # grey levels, in any colour
LEAST_AREA = 24 / REFERENCE**2  # of the picture
LEAST_CHANGE = 14.0  # grey levels, over the mask
LEAST_PIXELS = 4
ATTEMPTS = 10  # in one scene
SCENES = 10


@dataclass(frozen=True)
class Flawed:
    """One scene, with a defect and without."""

    flawed: Pixels  # (H, W, 3)
    normal: Pixels  # (H, W, 3)
    mask: Mask  # (H, W)


def draw_flawed(make: Make, kind: str, size: int, random: np.random.Generator) -> Flawed:
    """Draw a scene and defects of this kind in it until one can be seen.

    A screw hides half of itself, and a groove along the light is hardly seen: a drawn defect may show in
    too few pixels, or too faintly, and would then be one in name only.
    """
    for _ in range(SCENES):
        scene = draw_scene(make, random)
        normal = render(scene, size)
        for _ in range(ATTEMPTS):
            flawed = render(scene, size, KINDS[kind](make, random))
            mask, change = _difference(normal, flawed)
            if mask.sum() >= max(LEAST_PIXELS, LEAST_AREA * mask.size) and change >= LEAST_CHANGE:
                return Flawed(exposed(flawed, scene), exposed(normal, scene), mask)
    raise DataError(f"no {kind} could be seen in {SCENES} scenes of {size} pixels; ask for larger pictures")


def _difference(normal: Picture, flawed: Picture) -> tuple[Mask, float]:
    """Return which pixels differ, and by how many grey levels on average.

    Compared is what comes before the sensor's noise. A shadow that has changed is no defect: only what is
    screw in one picture or the other counts. Pixels between two that differ, where a lighter and a darker
    stripe cross, belong to the defect as well.
    """
    change = np.abs(flawed.colours - normal.colours).max(axis=0) * 255
    screw = np.maximum(normal.cover, flawed.cover) > 0.1
    differs = (change > SEEN) & screw
    reach = max(1, round(2 * change.shape[0] / REFERENCE))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    closed = ndimage.binary_closing(np.pad(differs, reach), disc)[reach:-reach, reach:-reach]
    mask: Mask = ndimage.binary_fill_holes(closed) & screw
    # A lone pixel far from the defect is rounding, not damage.
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    mask = mask & (areas >= 0.05 * areas.sum())[pieces]
    return mask, float(change[mask].mean()) if mask.any() else 0.0
