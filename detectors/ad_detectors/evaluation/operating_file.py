"""The operating point beside an evaluation's results, and others by the same calibration images."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from ad_detectors.errors import StateError
from ad_detectors.evaluation.image_result import CALIBRATION
from ad_detectors.evaluation.operating import OperatingPoint, calibrated

NAME = "operating_point.json"
SCORES = "scores.csv"


def save(operating: OperatingPoint | None, folder: Path) -> None:
    """Write operating_point.json into a folder; null where nothing was held out to calibrate on."""
    flat = operating.to_json() if operating is not None else None
    (folder / NAME).write_text(json.dumps(flat, indent=1) + "\n")


def load(folder: Path) -> OperatingPoint | None:
    """Read what `save` wrote; raise StateError naming the file if it is missing or something else."""
    path = folder / NAME
    try:
        flat = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"cannot read {path}: {error}; evaluate anew") from error
    if flat is None:
        return None
    if not isinstance(flat, dict):
        raise StateError(f"{path} holds no operating point; evaluate anew")
    return OperatingPoint.from_json(flat)


def at_rate(folder: Path, rate: float) -> OperatingPoint:
    """Return the operating point for another rate, by the calibration images of an evaluation's results.

    Raises ConfigError for a rate that they do not certify, StateError if the results cannot be read.
    """
    usual = load(folder)
    try:
        with (folder / SCORES).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == CALIBRATION]
        scores = [float(row["score"]) for row in rows]
        maxima = None
        if usual is not None and usual.map_threshold is not None:
            maxima = [float(row["map_max"]) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise StateError(f"cannot read {folder / SCORES}: {error}; evaluate anew") from error
    found = calibrated(scores, maxima, rate)
    assert found is not None  # a rate was asked for
    return found if usual is None or usual.certified else replace(found, certified=False)
