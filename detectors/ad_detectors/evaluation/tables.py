"""The results of an evaluation as files: tables that people read, and the evidence to compare it by."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ad_detectors.evaluation import operating_file
from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.outcome import Evaluation, Measures
from ad_detectors.metrics import evidence_file
from ad_detectors.metrics.bootstrap import MEASURES, Interval

FIRST = {"image_auroc": "img_auc", "pixel_auroc": "pixel_auc"}  # under the names that others use
SCORES = ("path", "label", "defect", "score", "split", "map_max")
INTERVALS = MEASURES


def write_results(evaluation: Evaluation, folder: Path, category: str, category_type: str = "all") -> None:
    """Write results.csv (a line for all, one for each defect), scores.csv (one for each picture), evidence.

    And operating_point.json, which `evaluation.operating_file.load` reads; `metrics.evidence_file.load` reads
    the evidence, for `metrics.bootstrap.paired_difference`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rest = [name for name in evaluation.metrics if name not in FIRST]
    ends = [f"{FIRST.get(name, name)}_{end}" for name in INTERVALS for end in ("low", "high")]
    header = ["category", "category_type", *FIRST.values(), *rest, *ends, "images"]

    def row(kind: str, measures: Measures, interval: list[str], images: int) -> list[str]:
        return [category, kind, *(_cell(measures[name]) for name in [*FIRST, *rest]), *interval, str(images)]

    bounds = _bounds(evaluation.intervals)
    rows = [row(category_type, evaluation.metrics, bounds, len(evaluation.images))]
    for defect, measures in evaluation.defects.items():
        images = sum(image.defect == defect or not image.label for image in evaluation.images)
        own = evaluation.defect_intervals.get(defect, {})
        rows.append(row(defect, measures, _bounds(own), images))
    _write(folder / "results.csv", [header, *rows])
    lines = [
        [image.path, str(image.label), image.defect, repr(image.score), image.split, _cell(image.map_max)]
        for image in (*evaluation.images, *evaluation.held_out)
    ]
    _write(folder / operating_file.SCORES, [list(SCORES), *lines])
    operating_file.save(evaluation.operating, folder)
    if evaluation.evidence is not None and evaluation.images:
        evidence_file.save(evaluation.evidence, folder)


def write_scores(images: Sequence[ImageResult], folder: Path) -> None:
    """Write scores.csv with a line for each picture, in the order given, without the maxima of maps."""
    lines = [[each.path, str(each.label), each.defect, repr(each.score), each.split] for each in images]
    _write(folder / operating_file.SCORES, [list(SCORES[:-1]), *lines])


def _bounds(intervals: Mapping[str, Interval]) -> list[str]:
    found = [intervals.get(name) for name in INTERVALS]
    return [_cell(end) for each in found for end in ((each.low, each.high) if each else (None, None))]


def _cell(value: float | None) -> str:
    return "n/a" if value is None else repr(value)


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
