"""The results of a job as values a program can go on with: numbers, tables and files; NumPy only if asked."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_platform.errors import CorruptBundle, MissingExtra
from ad_platform.results import result_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ad_platform.records import Job
    from ad_platform.specs import Json

SCORES = "scores.csv"
TEST = "test"


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """What a model made of one image of an evaluation."""

    path: str  # relative to the category's folder
    label: int  # 1 anomalous, 0 normal
    defect: str  # "good" for normal images
    score: float  # higher is more anomalous
    split: str  # test, validation or calibration
    map_max: float | None = None  # the highest value of its anomaly map, where there are maps

    @property
    def anomalous(self) -> bool:
        """Whether the image is labelled anomalous."""
        return self.label == 1


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a succeeded job measured; of an evaluation also every image's score."""

    job: Job  # that measured it: of a training its evaluation
    metrics: Mapping[str, float]  # such as "test/image_auroc"
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of 95 %, by metric
    defects: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # metrics by kind of defect
    threshold: float | None = None  # on the score, as calibrated; None where nothing was held out
    folder: Path | None = None  # its files, on this machine; to be read only

    @property
    def every_image(self) -> tuple[ImageScore, ...]:
        """Return the scored images of all splits: test, and what was held out of training."""
        return self._images

    @property
    def images(self) -> tuple[ImageScore, ...]:
        """Return the scored test images, by path; none for a job that is no evaluation."""
        return tuple(each for each in self._images if each.split == TEST)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the test images as arrays of one length: path, label, defect, score.

        Raises MissingExtra where NumPy is not installed.
        """
        try:
            import numpy as np
        except ImportError as error:
            raise MissingExtra("results as arrays", "worker") from error
        images = self.images
        return {
            "path": np.array([each.path for each in images], dtype=np.str_),
            "label": np.array([each.label for each in images], dtype=np.int64),
            "defect": np.array([each.defect for each in images], dtype=np.str_),
            "score": np.array([each.score for each in images], dtype=np.float64),
        }

    @cached_property
    def _images(self) -> tuple[ImageScore, ...]:
        return () if self.folder is None else read_scores(self.folder / SCORES)


def results_from(job: Job, folder: Path | None) -> Results:
    """Read the results of a job from what its worker reported, and its files from a folder."""
    told = job.result
    point = _mapping(told.get("operating_point")).get("threshold")
    defects = {name: _numbers(_mapping(each)) for name, each in _mapping(told.get("defects")).items()}
    return Results(
        job=job,
        metrics=dict(result_of(job).metrics),
        intervals={
            name: (float(ends[0]), float(ends[1]))
            for name, ends in _mapping(told.get("intervals")).items()
            if isinstance(ends, list)
            and len(ends) == 2
            and isinstance(ends[0], int | float)
            and isinstance(ends[1], int | float)
        },
        defects=defects,
        threshold=float(point) if isinstance(point, int | float) else None,
        folder=folder,
    )


def read_scores(path: Path) -> tuple[ImageScore, ...]:
    """Read the table of an evaluation's images; none where it lies not. Raises CorruptBundle."""
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(_image(row) for row in csv.DictReader(file))
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptBundle(f"{path} is no table of scores ({error}); evaluate anew") from error


def _image(row: Mapping[str, Any]) -> ImageScore:
    highest = row.get("map_max")
    return ImageScore(
        path=row["path"],
        label=int(row["label"]),
        defect=row["defect"],
        score=float(row["score"]),
        split=row["split"],
        map_max=None if highest in (None, "", "n/a") else float(highest),
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _numbers(found: Mapping[str, Json]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
