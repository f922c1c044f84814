"""A contact sheet of drawn screws: normal ones, and each defect beside the same scene without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from ad_detectors.data.synth.category import category_make
from ad_detectors.data.synth.flawed import Flawed, draw_flawed
from ad_detectors.data.synth.flaws import KINDS
from ad_detectors.data.synth.picture import exposed, render
from ad_detectors.data.synth.scene import draw_scene

Pixels = NDArray[np.uint8]
CELL = 150  # pixels of a cell
ZOOM = 3 / 8  # of a picture that a close-up shows
CAPTION = 16
ROWS = 4  # of cells for each defect
INK, PAPER, OUTLINE = (40, 40, 40), (255, 255, 255), (220, 30, 30)


def write_sheet(file: Path, seed: int = 0, size: int = 256, fixture: bool = False) -> None:
    """Draw the sheet of a seed's category and save it in the format its name asks for."""
    make, random = category_make(seed, fixture), np.random.default_rng([seed, 0])
    normal = []
    for _ in KINDS:
        scene = draw_scene(make, random)
        normal.append(exposed(render(scene, size), scene))
    columns = [_column(draw_flawed(make, kind, size, random)) for kind in KINDS]
    sheet = Image.new("RGB", (CELL * len(KINDS), CAPTION * 2 + CELL * (1 + ROWS)), PAPER)
    _write(sheet, 0, 0, "normal")
    for place, (kind, pixels, column) in enumerate(zip(KINDS, normal, columns, strict=True)):
        sheet.paste(_cell(pixels), (place * CELL, CAPTION))
        _write(sheet, place * CELL, CAPTION + CELL, kind.replace("_", " "))
        for row, cell in enumerate(column):
            sheet.paste(_cell(cell), (place * CELL, 2 * CAPTION + (row + 1) * CELL))
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file, quality=82)


def _column(drawn: Flawed) -> list[Pixels]:
    """Return one defect whole, and close up: without it, with it, and with its mask outlined."""
    middle, size = ndimage.center_of_mass(drawn.mask), len(drawn.mask)
    side = round(ZOOM * size)
    top, left = (int(np.clip(place - side / 2, 0, size - side)) for place in middle)
    close = slice(top, top + side), slice(left, left + side)
    outlined = drawn.flawed.copy()
    outlined[ndimage.binary_dilation(drawn.mask) & ~drawn.mask] = OUTLINE
    return [drawn.flawed, drawn.normal[close], drawn.flawed[close], outlined[close]]


def _cell(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.LANCZOS)


def _write(sheet: Image.Image, x: int, y: int, words: str) -> None:
    ImageDraw.Draw(sheet).text((x + 4, y + 2), words, fill=INK)
