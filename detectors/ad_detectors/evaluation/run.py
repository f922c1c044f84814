"""Score everything that a detector is evaluated on, batch by batch, then measure."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ad_detectors.api import Detector, Images, Scores
from ad_detectors.data.images import TestImages
from ad_detectors.errors import DataError, StateError
from ad_detectors.evaluation.measuring import measured
from ad_detectors.evaluation.outcome import CALIBRATION, Evaluation
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.parts import Part, parts_of


def evaluate(
    detector: Detector,
    test: TestImages | None,
    report: Callable[[int, int], None] | None = None,
    batch: int = 8,
    done: PartialEvaluation | None = None,
    *,
    validation: Images | None = None,
    calibration: Images | None = None,
    scratch: Path | None = None,
) -> Evaluation:
    """Score the test split, and the normal pictures that were held out, and measure.

    After each batch `report(batches done, batches in all)` is called; `done`, which grows as the evaluation
    does, may be saved then, and handed in again to go on from there with the same batch size. A batch that
    the detector insists on goes before the one given. What does not fit in memory goes to temporary files in
    `scratch`. Raises NotFinite naming the picture whose score or map is not finite, StateError if `done` is
    of something else.
    """
    parts = parts_of(test, validation, calibration)
    if not parts:
        raise DataError("there are no pictures to evaluate on; give a test split or hold normal ones out")
    partial = done if done is not None else PartialEvaluation(scratch)
    batch = detector.batch or batch
    of = _identity(parts, batch)
    if partial.of not in ("", of) or partial.done > sum(len(part.pictures) for part in parts):
        raise StateError(f"{partial.done} pictures of something else were scored before; evaluate anew")
    partial.of = of
    batches = list(_batches(parts, batch))
    warm = False  # the first batch of a process loads and compiles
    for number, (start, part, indices) in enumerate(batches, 1):
        if start < partial.done:
            continue
        scores, seconds = _timed(detector, part, indices)
        names = [part.pictures.path(index) for index in indices]
        partial.add(scores, names, with_maps=part.split != CALIBRATION)
        if warm:
            partial.seconds.append(seconds / len(indices))
        warm = True
        if report is not None:
            report(number, len(batches))
    return measured(parts, partial, scratch, exchangeable=detector.batch is None)


def _batches(parts: list[Part], size: int) -> Iterator[tuple[int, Part, range]]:
    """Return each batch: how many pictures come before it, its part, and its pictures there."""
    before = 0
    for part in parts:
        length = len(part.pictures)
        for start in range(0, length, size):
            yield before + start, part, range(start, min(start + size, length))
        before += length


def _timed(detector: Detector, part: Part, indices: range) -> tuple[Scores, float]:
    """Score a batch and take the time; on a GPU the work is done when its result is here."""
    images = part.pictures.batch(indices)
    began = time.perf_counter()
    scores = detector.score(images)
    here = Scores(scores.images.cpu(), None if scores.maps is None else scores.maps.cpu())
    seconds = time.perf_counter() - began
    if here.maps is not None and here.maps.shape[1:] != images.shape[2:]:
        shapes = f"{tuple(here.maps.shape[1:])}, its picture {tuple(images.shape[2:])}"
        raise StateError(f"the map of {part.pictures.path(indices[0])} has the shape {shapes}")
    return here, seconds


def _identity(parts: list[Part], batch: int) -> str:
    """Return what stands for these pictures in this order and these batches."""
    lines = [f"{part.split}\0{part.pictures.path(i)}" for part in parts for i in range(len(part.pictures))]
    return hashlib.sha256("\n".join([str(batch), *lines]).encode()).hexdigest()
