"""A picture of the gallery: input, reconstruction, anomaly map, overlay and mask side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ad_detectors.report.choosing import Choice, Outcome
from ad_detectors.report.overlay import TOP, heat, overlay
from ad_detectors.report.thresholds import Thresholds

PANEL = 256  # pixels of a side; whole multiples of smaller pictures
GAP = 8
HEAD = 50
TITLE = 20
FOOT = 46
BAR = 12
PAPER, INK, FAINT, SHADE = "white", (32, 32, 32), (110, 110, 110), (236, 236, 236)
SAID = {
    Outcome.FALSE_ALARM: "called anomalous: FALSE ALARM",
    Outcome.MISSED: "called normal: MISSED",
    Outcome.FOUND: "called anomalous: found",
    Outcome.PASSED: "called normal: passed",
    Outcome.UNDECIDED: "no decision",
}


@dataclass(frozen=True)
class Views:
    """What there is to see of one picture, all of one size."""

    image: NDArray[np.uint8]  # (H, W, 3)
    rebuilt: NDArray[np.uint8] | None  # (H, W, 3); None of a detector that rebuilds nothing
    map: NDArray[np.float32] | None  # (H, W); None of a detector without maps
    mask: NDArray[np.bool_] | None  # (H, W); None where nobody drew the defect


@dataclass(frozen=True)
class _Panel:
    title: str
    picture: NDArray[np.uint8] | str  # or why there is none


def row(choice: Choice, views: Views, thresholds: Thresholds) -> Image.Image:
    """Draw the picture of one image of the test split."""
    panels = _panels(choice, views, thresholds.map)
    width = len(panels) * (PANEL + GAP) + GAP
    canvas = Image.new("RGB", (width, HEAD + TITLE + PANEL + FOOT), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP, 6), _fitted(choice.result.path, width - 2 * GAP, 17), INK, _font(17))
    draw.text((GAP, 29), _caption(choice, thresholds.score), INK, _font(14))
    for number, panel in enumerate(panels):
        left = GAP + number * (PANEL + GAP)
        draw.text((left, HEAD + 2), panel.title, FAINT, _font(13))
        _place(canvas, draw, panel.picture, (left, HEAD + TITLE))
    _foot(canvas, draw, views, thresholds)
    return canvas


def _panels(choice: Choice, views: Views, anchor: float | None) -> list[_Panel]:
    panels = [_Panel("input", views.image)]
    if views.rebuilt is not None:
        panels.append(_Panel("reconstruction", views.rebuilt))
    if views.map is None or anchor is None:
        panels.append(_Panel("anomaly map", "this detector\nmakes no anomaly maps"))
    else:
        panels.append(_Panel(f"anomaly map: highest {views.map.max():.4g}", heat(views.map, anchor)))
        panels.append(_Panel("overlay", overlay(views.image, views.map, anchor)))
    if not choice.result.label:
        panels.append(_Panel("mask", "a good one:\nthere is no defect"))
    elif views.mask is None:
        panels.append(_Panel("mask", "nobody drew\nthis defect"))
    else:
        panels.append(_Panel("mask", views.mask.astype(np.uint8) * np.uint8(255)))
    return panels


def _caption(choice: Choice, threshold: float | None) -> str:
    result = choice.result
    compared = f"score {result.score:.4g}"
    if threshold is not None:
        compared += f" {'>' if result.score > threshold else '<='} {threshold:.4g}"
    return f"{result.defect}    {compared}    {SAID[choice.outcome]}"


def _place(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    picture: NDArray[np.uint8] | str,
    corner: tuple[int, int],
) -> None:
    left, top = corner
    if isinstance(picture, str):
        draw.rectangle((left, top, left + PANEL - 1, top + PANEL - 1), SHADE)
        middle = (left + PANEL // 2, top + PANEL // 2)
        draw.multiline_text(middle, picture, FAINT, _font(15), anchor="mm", align="center")
        return
    height, width = picture.shape[:2]
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Boxes: enlarged, pixels stay what they are; reduced, a colour is an average and never a new one.
    shown = Image.fromarray(picture).convert("RGB").resize(size, Image.Resampling.BOX)
    canvas.paste(shown, (left + (PANEL - size[0]) // 2, top + (PANEL - size[1]) // 2))


def _foot(canvas: Image.Image, draw: ImageDraw.ImageDraw, views: Views, thresholds: Thresholds) -> None:
    """Draw the colour scale with its three values, and say what its middle is."""
    top = HEAD + TITLE + PANEL + 8
    left = GAP
    if views.map is not None and thresholds.map is not None:
        anchor, unit = thresholds.map, abs(thresholds.map) or 1.0
        values = anchor + unit * (np.linspace(0, TOP, PANEL, dtype=np.float64) - 1)
        canvas.paste(Image.fromarray(np.repeat(heat(values[None], anchor), BAR, axis=0)), (left, top))
        for place, value, side in (
            (0, anchor - unit, "l"),
            (PANEL // 2, anchor, "m"),
            (PANEL, anchor + unit, "r"),
        ):
            draw.text((left + place, top + BAR + 3), f"{value:.4g}", INK, _font(12), anchor=f"{side}a")
        left += PANEL + GAP
    words = _wrapped(thresholds.words, canvas.width - left - GAP, 13)
    draw.multiline_text((left, top - 2), words, FAINT, _font(13), spacing=2)


def _wrapped(text: str, width: int, size: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _fitted(text: str, width: int, size: int) -> str:
    """Return the end of a text that fits: of a path that is the picture's own name."""
    short = text
    while _font(size).getlength(short) > width and len(short) > 1:
        short = f"...{short.removeprefix('...')[1:]}"
    return short


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # comes with Pillow, so it is the same everywhere
