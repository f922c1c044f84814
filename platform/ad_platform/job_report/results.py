"""What an evaluation left in its bundle, as a page reads it; what is missing or strange is left out."""

import csv
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from ad_platform.specs import Json

TEST, VALIDATION, CALIBRATION = "test", "validation", "calibration"
LARGEST = 8_000_000  # bytes of cases.zip; what is larger was not written by an evaluation

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scored:
    """What the detector said of one image, beside what is known of it."""

    path: str
    anomalous: bool
    defect: str  # "good" of normal ones
    score: float
    split: str


@dataclass(frozen=True)
class Case:
    """An image to be shown, and what there is to see of it."""

    scored: Scored
    outcome: str  # as ad_detectors.report.choosing names it
    map_max: float | None
    side: int  # pixels that the detector saw, of the longer side
    pictures: Mapping[str, bytes]  # WebP, by what it shows
    absent: Mapping[str, str]  # why there is none, by what it would show


@dataclass(frozen=True)
class Scale:
    """The colour scale of maps."""

    low: float
    anchor: float
    high: float
    picture: bytes


@dataclass(frozen=True)
class Cases:
    """The worst mistakes and some others, in the order in which an evaluation chose them."""

    cases: tuple[Case, ...] = ()
    threshold: float | None = None  # by which they were told apart, or what stood in for it
    words: str = ""  # what that is
    scale: Scale | None = None


@dataclass(frozen=True)
class PixelCurves:
    """How well maps mark defects at each threshold, and at the one in use."""

    pro: Points = ()
    precision_recall: Points = ()
    pro_at: tuple[float, float] | None = None
    precision_recall_at: tuple[float, float] | None = None


@dataclass(frozen=True)
class Results:
    """All of it."""

    scored: tuple[Scored, ...] = ()
    cases: Cases | None = None  # None of an evaluation from before there were any
    pixels: PixelCurves | None = None
    problems: tuple[str, ...] = field(default=())

    def of_split(self, split: str) -> list[Scored]:
        """Return the images of a split."""
        return [each for each in self.scored if each.split == split]


def read(folder: Path) -> Results:
    """Read the files of an evaluation; one that is broken is named among the problems."""
    problems: list[str] = []
    scored: tuple[Scored, ...] = ()
    cases: Cases | None = None
    pixels: PixelCurves | None = None
    try:
        scored = _scores(folder / "scores.csv")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        problems.append(f"the scores cannot be read (scores.csv: {error})")
    try:
        cases = _cases(folder / "cases.zip")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        problems.append(f"the pictures cannot be read (cases.zip: {error})")
    try:
        pixels = _pixels(folder / "curves" / "pixels.json")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problems.append(f"the curves of pixels cannot be read (pixels.json: {error})")
    return Results(scored, cases, pixels, tuple(problems))


def _scores(path: Path) -> tuple[Scored, ...]:
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            Scored(row["path"], row["label"] == "1", row["defect"], _finite(row["score"]), row["split"])
            for row in csv.DictReader(file)
        )


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"a score is {text}")
    return value


def _cases(path: Path) -> Cases | None:
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {path.stat().st_size} bytes")
    with zipfile.ZipFile(path) as archive:
        if sum(each.file_size for each in archive.infolist()) > LARGEST:
            raise ValueError("what it holds is too large")
        files = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(files["cases.json"])
    scale = index["scale"]
    return Cases(
        tuple(_case(each, files) for each in index["cases"]),
        index["threshold"]["score"],
        str(index["threshold"]["words"]),
        None
        if scale is None
        else Scale(
            float(scale["low"]), float(scale["anchor"]), float(scale["high"]), files[scale["picture"]]
        ),
    )


def _case(value: Mapping[str, Json], files: Mapping[str, bytes]) -> Case:
    pictures, absent, size, highest = (value[name] for name in ("pictures", "absent", "size", "map_max"))
    if not isinstance(pictures, dict) or not isinstance(absent, dict) or not isinstance(size, list):
        raise ValueError("cases.json is none of an evaluation")
    anomalous, score = value["label"] == 1, _finite(str(value["score"]))
    return Case(
        Scored(str(value["path"]), anomalous, str(value["defect"]), score, TEST),
        str(value["outcome"]),
        float(highest) if isinstance(highest, int | float) else None,
        max(int(str(each)) for each in size),
        {name: files[str(file)] for name, file in pictures.items()},
        {name: str(why) for name, why in absent.items()},
    )


def _pixels(path: Path) -> PixelCurves | None:
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    if told is None:
        return PixelCurves()
    place = told["threshold"] or {}
    return PixelCurves(
        _points(told["pro"]),
        _points(told["precision_recall"]),
        _points([place["pro"]])[0] if "pro" in place else None,
        _points([place["precision_recall"]])[0] if "precision_recall" in place else None,
    )


def _points(values: Sequence[Sequence[float]]) -> Points:
    return tuple((float(x), float(y)) for x, y in values)
