"""Everything there is to see of an evaluation, written into the folder of its results."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors.api import Detector
from ad_detectors.data.images import TestImages
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.report import cases, pixel_curves
from ad_detectors.report.choosing import GOOD, MISTAKES, MOST, Choice, choose
from ad_detectors.report.curves import draw_pr, draw_roc
from ad_detectors.report.gallery import Views, row
from ad_detectors.report.histogram import draw_histogram
from ad_detectors.report.overlay import save_png
from ad_detectors.report.thresholds import Thresholds, thresholds_of

AT_A_TIME = 8  # pictures that are rebuilt together
STRANGE = re.compile(r"[^A-Za-z0-9_-]+")


def write_pictures(
    evaluation: Evaluation,
    folder: Path,
    detector: Detector,
    test: TestImages | None,
    title: str,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Write curves/roc.png, curves/pr.png, histogram.png, and gallery/ with a picture for some test images.

    And for pages made later: cases.zip (see `cases.write`) and curves/pixels.json (see `pixel_curves.write`).
    `test` is what was evaluated, or None. After some pictures `report(drawn, of)` is called. What the data
    cannot show is said in words instead. Raises DataError naming a file that cannot be written, NoRoom.
    """
    thresholds = thresholds_of(evaluation)
    draw_roc(evaluation, thresholds, folder / "curves" / "roc.png", title)
    draw_pr(evaluation, thresholds, folder / "curves" / "pr.png", title)
    draw_histogram(evaluation, thresholds, folder / "histogram.png", title)
    pixel_curves.write(evaluation, test, thresholds.map, folder / "curves")
    chosen = choose(evaluation.images, thresholds.score)
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    (folder / "gallery" / "about.txt").write_text(_about(evaluation, chosen, thresholds), encoding="utf-8")
    seen: list[tuple[Choice, Views]] = []
    for start in range(0, len(chosen), AT_A_TIME):
        some = chosen[start : start + AT_A_TIME]
        for choice, views in zip(some, _views(evaluation, detector, test, some), strict=True):
            seen.append((choice, views))
            save_png(folder / "gallery" / _name(len(seen), choice), row(choice, views, thresholds))
        if report is not None:
            report(start + len(some), len(chosen))
    cases.write(seen, thresholds, folder)


def _views(
    evaluation: Evaluation, detector: Detector, test: TestImages | None, chosen: Sequence[Choice]
) -> list[Views]:
    assert test is not None  # they are of its pictures
    images = test.batch([choice.index for choice in chosen])
    rebuilt = detector.reconstruct(images)
    views = []
    for place, choice in enumerate(chosen):
        mask = test.masks([choice.index])[0]
        views.append(
            Views(
                _upright(images[place]),
                None if rebuilt is None else _upright(rebuilt[place]),
                None if evaluation.maps is None else evaluation.maps[choice.index].numpy(),
                mask if mask.any() else None,
            )
        )
    return views


def _upright(picture: torch.Tensor) -> NDArray[np.uint8]:  # (H, W, 3)
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())


def _name(number: int, choice: Choice) -> str:
    """Return a file's name, which sorts as the pictures were chosen; of any path, letters are left."""
    stem = PurePosixPath(choice.result.path).stem
    parts = (str(choice.outcome), choice.result.defect, stem)
    return "-".join([f"{number:02d}", *(STRANGE.sub("_", part)[:40] for part in parts)]) + ".png"


def _about(evaluation: Evaluation, chosen: Sequence[Choice], thresholds: Thresholds) -> str:
    if not chosen:
        return "There are no test images to show.\n"
    lines = [
        f"{len(chosen)} of {len(evaluation.images)} test images, always the same ones:",
        f"the {MISTAKES} worst false alarms, the {MISTAKES} worst misses, then of each defect and",
        f"of {GOOD} good ones some from the lowest to the highest score; at most {MOST}.",
        "",
        f"{thresholds.words}.",
        f"image score: {_said(thresholds.score)}; anomaly map: {_said(thresholds.map)}",
        "",
        "Colours are the same in all pictures: up to the threshold of maps dark blue to blue-green, above",
        "it orange, red, and dark red from twice the threshold on. What is not above it is never orange or",
        "red, so that a good one stays calm. The overlay lies on the picture in grey, since a",
        "red part is no anomaly.",
    ]
    return "\n".join(lines) + "\n"


def _said(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6g}"
