"""The chosen test images as one small file: each thing there is to see of them a picture of its own."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.errors import DataError, NoRoom
from ad_detectors.report.choosing import Choice
from ad_detectors.report.gallery import Views
from ad_detectors.report.overlay import FULL, TOP, heat, overlay
from ad_detectors.report.thresholds import Thresholds

NAME = "cases.zip"
INDEX = "cases.json"
BUDGET = 1_800_000  # bytes of all pictures together; a page holds them as text, a third longer
# Quality of what is compressed with loss, and pixels of a side, until all pictures fit the budget.
LADDER = ((82, 256), (70, 224), (55, 160), (40, 112))
SCALE = (256, 12)  # pixels of the picture of the colour scale
BEGAN = (1980, 1, 1, 0, 0, 0)  # of every file: the same bytes each time


@dataclass(frozen=True)
class _Panel:
    name: str
    picture: NDArray[np.uint8]  # (H, W, 3), or (H, W) of a mask
    exact: bool  # whether every pixel stays what it is


def write(chosen: Sequence[tuple[Choice, Views]], thresholds: Thresholds, folder: Path) -> None:
    """Write cases.zip: cases.json, and of each image input, reconstruction, map, overlay and mask as WebP.

    cases.json holds `threshold` (score, map, words, by_calibration), `scale` (the values at the ends and in
    the middle of the colour scale, and its picture; null without maps) and `cases`, the worst mistakes first:
    path, defect, label, score, outcome, map_max, size (height and width that the detector saw), pictures
    (file by name), absent (why there is none, by name). Raises DataError naming the file, NoRoom.
    """
    panels = [_panels(views, thresholds.map) for _, views in chosen]
    files = _within_budget(panels)
    scale = _scale(thresholds)
    index = {
        "threshold": {
            "score": thresholds.score,
            "map": thresholds.map,
            "words": thresholds.words,
            "by_calibration": thresholds.by_calibration,
        },
        "scale": scale[0] if scale is not None else None,
        "cases": [
            _case(number, choice, views, each)
            for number, ((choice, views), each) in enumerate(zip(chosen, panels, strict=True))
        ],
    }
    content = {INDEX: json.dumps(index, indent=1).encode()}
    content |= {"scale.webp": scale[1]} if scale is not None else {}
    try:
        with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_STORED) as archive:
            for name, data in (content | files).items():
                archive.writestr(zipfile.ZipInfo(name, BEGAN), data)
    except OSError as error:
        kind = NoRoom if error.errno in FULL else DataError
        raise kind(f"cannot write {folder / NAME}: {error.strerror or error}; make room") from error


def _case(number: int, choice: Choice, views: Views, panels: Sequence[_Panel]) -> dict[str, object]:
    result = choice.result
    return {
        "path": result.path,
        "defect": result.defect,
        "label": result.label,
        "score": result.score,
        "outcome": choice.outcome.value,
        "map_max": result.map_max,
        "size": list(views.image.shape[:2]),
        "pictures": {panel.name: _file(number, panel) for panel in panels},
        "absent": dict(_absent(choice, views)),
    }


def _absent(choice: Choice, views: Views) -> Iterator[tuple[str, str]]:
    """Yield what there is nothing to see of, and why."""
    if views.rebuilt is None:
        yield "reconstruction", "this detector rebuilds no pictures"
    if views.map is None:
        yield "map", "this detector makes no anomaly maps"
        yield "overlay", "this detector makes no anomaly maps"
    if not choice.result.label:
        yield "mask", "a good one: there is no defect"
    elif views.mask is None:
        yield "mask", "nobody drew this defect"


def _panels(views: Views, anchor: float | None) -> list[_Panel]:
    panels = [_Panel("input", views.image, False)]
    if views.rebuilt is not None:
        panels.append(_Panel("reconstruction", views.rebuilt, False))
    if views.map is not None and anchor is not None:
        panels.append(_Panel("map", heat(views.map, anchor), False))
        panels.append(_Panel("overlay", overlay(views.image, views.map, anchor), False))
    if views.mask is not None:
        panels.append(_Panel("mask", views.mask.astype(np.uint8) * np.uint8(255), True))
    return panels


def _file(number: int, panel: _Panel) -> str:
    return f"{number:02d}-{panel.name}.webp"


def _within_budget(cases: Sequence[Sequence[_Panel]]) -> dict[str, bytes]:
    """Return all pictures as files, at the best quality that fits, else at the last of the ladder."""
    files: dict[str, bytes] = {}
    for quality, side in LADDER:
        files = {
            _file(number, panel): _encoded(panel, quality, side)
            for number, panels in enumerate(cases)
            for panel in panels
        }
        if sum(map(len, files.values())) <= BUDGET:
            break
    return files


def _encoded(panel: _Panel, quality: int, side: int) -> bytes:
    picture = Image.fromarray(panel.picture)
    scale = side / max(picture.size)
    if scale < 1:  # boxes: a colour is an average and never a new one
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    return _webp(picture, exact=panel.exact, quality=quality)


def _webp(picture: Image.Image, *, exact: bool, quality: int = 100) -> bytes:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "WEBP", lossless=exact, quality=quality, method=4)
    return file.getvalue()


def _scale(thresholds: Thresholds) -> tuple[dict[str, object], bytes] | None:
    """Return the colour scale as its three values and a picture; None without maps."""
    anchor = thresholds.map
    if anchor is None:
        return None
    unit = abs(anchor) or 1.0
    values = anchor + unit * (np.linspace(0, TOP, SCALE[0], dtype=np.float64) - 1)
    picture = Image.fromarray(np.repeat(heat(values[None], anchor), SCALE[1], axis=0))
    told = {"low": anchor - unit, "anchor": anchor, "high": anchor + unit, "picture": "scale.webp"}
    return told, _webp(picture, exact=True)
