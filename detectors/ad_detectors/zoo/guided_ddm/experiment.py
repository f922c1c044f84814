"""The proof of concept's table and pictures: a row for each category, four pictures for each test image."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.data import decoding
from ad_detectors.data.layout import Sample, open_category
from ad_detectors.data.splits import NONE
from ad_detectors.errors import DataError
from ad_detectors.evaluation import Evaluation
from ad_detectors.local import evaluate_local, fit_local

NAME = "guided_ddm"
TABLE = "results.csv"
HEADER = ("category", "category_type", "img_auc", "pixel_auc")
TEXTURES = frozenset({"carpet", "grid", "leather", "tile", "wood"})
SHOWN = {"hazelnut": (0.02, 0.27)}  # of the map, from the lowest to the highest colour
SHOWN_ELSE = (0.01, 0.4)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is measured, and where its results go."""

    config: Mapping[str, Any]
    out: Path
    seed: int = 0
    device: str = "auto"
    overwrite: bool = True  # False: categories that have a row are not measured again


def run(categories: Sequence[Path], experiment: Experiment) -> list[Path]:
    """Measure categories; return the folders of their pictures, without those that were left alone."""
    table = experiment.out / TABLE
    made = []
    for folder in categories:
        if not experiment.overwrite and folder.name in {row["category"] for row in rows_of(table)}:
            continue
        made.append(_measure(folder, experiment, table))
    return made


def rows_of(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none if there is no file. Raises DataError for another kind of table."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if any(set(row) != set(HEADER) for row in rows):
        raise DataError(f"{table} has other columns than {', '.join(HEADER)}; move it away or choose another")
    return rows


def entered(rows: Sequence[Mapping[str, str]], new: Mapping[str, str]) -> list[dict[str, str]]:
    """Return rows with a new one in place of its category's, sorted by type and category."""
    kept = [dict(row) for row in rows if row["category"] != new["category"]]
    return sorted([*kept, dict(new)], key=lambda row: (row["category_type"], row["category"]))


def _measure(folder: Path, experiment: Experiment, table: Path) -> Path:
    home = experiment.out / folder.name
    # All normal images are handed over, of which nothing is learned unless steps says so.
    detector = fit_local(
        NAME,
        experiment.config,
        folder,
        home / "model",
        seed=experiment.seed,
        device=experiment.device,
        holdout=NONE,
    )
    evaluation = evaluate_local(detector, folder, home / "model" / "cache")
    row = {
        "category": folder.name,
        "category_type": "texture" if folder.name in TEXTURES else "object",
        "img_auc": _cell(evaluation.metrics["image_auroc"]),
        "pixel_auc": _cell(evaluation.metrics["pixel_auroc"]),
    }
    version = _next_version(home / "lightning_logs")
    version.mkdir(parents=True)
    (version / "run.txt").write_text(
        json.dumps({"config": dict(experiment.config), "seed": experiment.seed, **row}, indent=1) + "\n"
    )
    _draw(evaluation, folder, detector.config.image_size, version / "sample")
    _write(table, entered(rows_of(table), row))
    return version


def _next_version(logs: Path) -> Path:
    number = 0
    while (logs / f"version_{number}").exists():
        number += 1
    return logs / f"version_{number}"


def _draw(evaluation: Evaluation, folder: Path, size: int, out: Path) -> None:
    """Write each test image, its map in colours, both together, and which pixels are defective."""
    out.mkdir(parents=True)
    samples = {sample.name: sample for sample in open_category(folder).test}
    low, high = SHOWN.get(folder.name, SHOWN_ELSE)
    for place, result in enumerate(evaluation.images):
        sample = samples[result.path]
        shown = decoding.picture(sample.path, size).transpose(1, 2, 0)
        stem = f"{folder.name}_{sample.defect}_score{result.score:.2f}_{sample.path.stem}"
        _save(out / f"{stem}.jpg", shown)
        if evaluation.maps is not None:
            values = (evaluation.maps[place].numpy() - low) / (high - low)
            heat = jet(np.clip(values, 0.0, 1.0))
            both = heat / 255.0 + shown / 255.0
            _save(out / f"{stem}_amap.jpg", heat)
            _save(out / f"{stem}_amap_on_img.jpg", np.rint(both / both.max() * 255.0).astype(np.uint8))
        _save(out / f"{stem}_gt.jpg", _truth(sample, size))


def jet(values: NDArray[np.float32]) -> NDArray[np.uint8]:  # (H, W) in 0..1 -> (H, W, 3)
    """Return colours from blue over cyan, yellow and red, as the table's readers know them."""
    bands = [np.clip(1.5 - np.abs(4.0 * values - middle), 0.0, 1.0) for middle in (3.0, 2.0, 1.0)]
    return np.rint(np.stack(bands, axis=-1) * 255.0).astype(np.uint8)


def _truth(sample: Sample, size: int) -> NDArray[np.uint8]:
    if sample.mask is None:
        return np.zeros((size, size), np.uint8)
    return decoding.mask(sample.mask, size).astype(np.uint8) * 255


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture).save(path, quality=95)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _write(table: Path, rows: Sequence[Mapping[str, str]]) -> None:
    temporary = table.with_suffix(".csv.tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(table)
