"""The scores that an evaluation left in the storage, image by image: what gates reason from."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ad_platform.errors import CorruptBundle
from ad_platform.records import Job
from ad_platform.results import result_of
from ad_platform.storage.contract import Storage

FILE = "scores.csv"
TEST, CALIBRATION = "test", "calibration"


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """What a model said of one image, beside what is known of it."""

    path: str
    anomalous: bool
    defect: str  # "good" of a normal one
    score: float
    split: str
    highest: float | None  # of its anomaly map; None of a detector without maps


@dataclass(frozen=True)
class Scores:
    """Every image that one evaluation scored."""

    evaluation: str  # the job's id
    images: tuple[ScoredImage, ...]

    @cached_property
    def normal(self) -> tuple[ScoredImage, ...]:
        """Return the good images of the test split."""
        return tuple(one for one in self.images if one.split == TEST and not one.anomalous)

    @cached_property
    def anomalous(self) -> tuple[ScoredImage, ...]:
        """Return the anomalous images of the test split."""
        return tuple(one for one in self.images if one.split == TEST and one.anomalous)

    @cached_property
    def calibration(self) -> tuple[ScoredImage, ...]:
        """Return the good images that were held out to calibrate on."""
        return tuple(one for one in self.images if one.split == CALIBRATION)

    @property
    def defects(self) -> tuple[str, ...]:
        """Return the kinds of defects in the test split, sorted."""
        return tuple(sorted({one.defect for one in self.anomalous}))

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Return what each image of the test split is, by its path: "good" or the kind of its defect."""
        return {one.path: one.defect for one in (*self.normal, *self.anomalous)}

    def values(self, paths: Sequence[str]) -> list[float]:
        """Return the scores of images of the test split, in the order of these paths."""
        known = {one.path: one.score for one in (*self.normal, *self.anomalous)}
        return [known[path] for path in paths]


def read(storage: Storage, evaluation: Job) -> Scores:
    """Read the scores of an evaluation; raise CorruptBundle, saying what to do, where they cannot be read."""
    bundle, source = result_of(evaluation).bundle, evaluation.spec.source or evaluation.id
    again = f"evaluate anew with: adctl submit evaluate {source}"
    content = None if bundle is None else storage.file(bundle, FILE)
    if content is None:
        raise CorruptBundle(f"evaluation {evaluation.id} left no {FILE}; {again}")
    try:
        rows = [_image(row) for row in csv.DictReader(io.StringIO(content.decode()))]
    except (ValueError, KeyError) as error:
        raise CorruptBundle(
            f"{FILE} of evaluation {evaluation.id} cannot be read ({error}); {again}"
        ) from error
    return Scores(evaluation.id, tuple(rows))


def _image(row: Mapping[str, str]) -> ScoredImage:
    score, highest = float(row["score"]), row.get("map_max", "n/a")
    if not math.isfinite(score):
        raise ValueError(f"the score of {row['path']} is {score}")
    return ScoredImage(
        path=row["path"],
        anomalous=row["label"] == "1",
        defect=row["defect"],
        score=score,
        split=row["split"],
        highest=None if highest in ("n/a", "", None) else float(highest),
    )
