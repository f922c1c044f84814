"""How well anomaly maps mark defects at every threshold, as few enough points to draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ad_detectors.data.images import TestImages
from ad_detectors.errors import DataError, NoRoom
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.metrics.counts import PixelCounts
from ad_detectors.metrics.regions import regions
from ad_detectors.report.overlay import FULL

NAME = "pixels.json"
LIMIT = 0.3  # of the false-positive rate: as far as AUPRO looks
ERROR = 0.002  # of a drawn curve against the counted one, in shares; less than a plot can show


def write(evaluation: Evaluation, test: TestImages | None, threshold: float | None, folder: Path) -> None:
    """Write pixels.json: `pro`, `precision_recall`, and where the threshold of maps lies on them.

    `pro` has points (share of normal pixels flagged, mean share of each defective region flagged) up to
    LIMIT, `precision_recall` points (recall, precision) of pixels; `threshold` the place of `threshold` on
    both, by name, or null. The file is null where no map or no mask can tell. Raises DataError, NoRoom.
    """
    counts = evaluation.evidence.pixels if evaluation.evidence is not None else None
    told = None
    if counts is not None and counts.defective.any() and counts.normal_pixels.any():
        place = _at(evaluation, test, threshold) if test is not None and threshold is not None else None
        told = {**_curves(counts), "threshold": place}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(json.dumps(told) + "\n", encoding="utf-8")
    except OSError as error:
        kind = NoRoom if error.errno in FULL else DataError
        raise kind(f"cannot write {folder / NAME}: {error.strerror or error}; make room") from error


def _curves(counts: PixelCounts) -> dict[str, list[list[float]]]:
    normal = _risen(counts.normal_pixels)
    defective, overlap = _risen(counts.defective_pixels), _risen(counts.overlap)
    false, found = normal / normal[-1], defective / defective[-1]
    shares = overlap / float(counts.regions.sum(dtype=np.float64))
    flagged = normal + defective
    precision = np.divide(defective, flagged, out=np.ones(len(flagged)), where=flagged > 0)
    inside = false <= LIMIT
    beyond = np.flatnonzero(~inside)[:1]  # the line to there crosses the limit
    ends = np.interp(LIMIT, false, shares) if len(beyond) else shares[-1]
    return {
        "pro": thinned(np.append(false[inside], LIMIT), np.append(shares[inside], ends)),
        "precision_recall": thinned(found, precision),
    }


def _risen(counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how many pixels each threshold and all above it flag, beginning with none."""
    return np.concatenate([[0.0], np.cumsum(counts.sum(0, dtype=np.float64))])


def _at(evaluation: Evaluation, test: TestImages, threshold: float) -> dict[str, list[float]] | None:
    """Return where a threshold of maps lies: its points (x, y) on both curves."""
    if evaluation.maps is None:
        return None
    unmarked = set(evaluation.unmarked)
    normal = flagged_normal = defective = flagged_defective = 0
    shares: list[float] = []
    for index, result in enumerate(evaluation.images):
        if result.path in unmarked:
            continue
        flagged = evaluation.maps[index].numpy() > threshold
        mask: NDArray[np.bool_] = test.masks([index])[0]
        normal += int((~mask).sum())
        flagged_normal += int((flagged & ~mask).sum())
        if mask.any():
            of_pixel, sizes = regions(mask)
            shares += (np.bincount(of_pixel, flagged[mask], len(sizes)) / sizes).tolist()
            defective += int(mask.sum())
            flagged_defective += int((flagged & mask).sum())
    if not normal or not defective:
        return None
    all_flagged = flagged_normal + flagged_defective
    return {
        "pro": [flagged_normal / normal, float(np.mean(shares))],
        "precision_recall": [
            flagged_defective / defective,
            flagged_defective / all_flagged if all_flagged else 1.0,
        ],
    }


def thinned(x: ArrayLike, y: ArrayLike, error: float = ERROR) -> list[list[float]]:
    """Return as few of a curve's points as lines through them need to stay within `error` of all.

    Both ends stay (Douglas and Peucker, Cartographica 10, 1973, with distances along y and x alike).
    """
    points = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], 1)
    keep = {0, len(points) - 1}
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        away = _distance(points[first + 1 : last], points[first], points[last])
        farthest = int(away.argmax())
        if away[farthest] > error:
            middle = first + 1 + farthest
            keep.add(middle)
            parts += [(first, middle), (middle, last)]
    return [[round(float(value), 5) for value in points[index]] for index in sorted(keep)]


def _distance(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far points lie from the line between two others."""
    along = end - start
    length = float(np.hypot(*along))
    rest = points - start
    if length == 0:
        return np.hypot(rest[:, 0], rest[:, 1])
    return np.asarray(np.abs(rest[:, 0] * along[1] - rest[:, 1] * along[0]) / length)
