"""Scores parts of pictures batch by batch, in an order of their own, going on from what was scored before."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from ad_detectors import dividing
from ad_detectors.api import Detector, Scores
from ad_detectors.errors import StateError
from ad_detectors.evaluation.image_result import CALIBRATION
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.parts import Part

BATCH = 8  # pictures, unless a detector insists on another number

Report = Callable[[int, int], None]  # batches done, batches in all


def score_parts(
    detector: Detector,
    parts: Sequence[Part],
    partial: PartialEvaluation,
    report: Report | None = None,
    batch: int = BATCH,
    *,
    with_maps: bool = True,
) -> None:
    """Score what `partial` does not hold yet, calling `report` after each batch.

    A batch that the detector insists on goes before the one given. Maps are kept where wanted, those of
    calibration never. Raises NotFinite naming the picture whose score or map is not finite, StateError if
    `partial` is of something else.
    """
    batch = detector.batch or batch
    of = _identity(parts, batch)
    if partial.of not in ("", of) or partial.done > sum(len(part.pictures) for part in parts):
        raise StateError(f"{partial.done} pictures of something else were scored before; evaluate anew")
    partial.of = of
    batches = list(batches_of(parts, batch))
    warm = False  # the first batch of a process loads and compiles
    for number, (start, part, indices) in enumerate(batches, 1):
        if start < partial.done:
            continue
        scores, seconds = _timed(detector, part, indices)
        names = [part.pictures.path(index) for index in indices]
        partial.add(scores, names, with_maps=with_maps and part.split != CALIBRATION)
        if warm:
            partial.seconds.append(seconds / len(indices))
        warm = True
        if report is not None:
            report(number, len(batches))


def count_batches(parts: Sequence[Part], batch: int) -> int:
    """Return how many batches of at most so many pictures the parts have."""
    return sum(1 for _ in batches_of(parts, batch))


def batches_of(parts: Sequence[Part], size: int) -> Iterator[tuple[int, Part, range]]:
    """Return each batch: how many pictures come before it, its part, and its pictures there."""
    before = 0
    for part in parts:
        length = len(part.pictures)
        for start in range(0, length, size):
            yield before + start, part, range(start, min(start + size, length))
        before += length


def ms_again(detector: Detector, part: Part, batch: int = BATCH) -> float:
    """Score the first batch of a part once more, and return the milliseconds that a picture took."""
    indices = range(min(detector.batch or batch, len(part.pictures)))
    return 1000 * _timed(detector, part, indices)[1] / len(indices)


def _timed(detector: Detector, part: Part, indices: range) -> tuple[Scores, float]:
    """Score a batch and take the time; on a GPU the work is done when its result is here."""
    images = part.pictures.batch(indices)
    began = time.perf_counter()
    scores = dividing.score(detector, images)
    here = Scores(scores.images.cpu(), None if scores.maps is None else scores.maps.cpu())
    seconds = time.perf_counter() - began
    if here.maps is not None and here.maps.shape[1:] != images.shape[2:]:
        shapes = f"{tuple(here.maps.shape[1:])}, its picture {tuple(images.shape[2:])}"
        raise StateError(f"the map of {part.pictures.path(indices[0])} has the shape {shapes}")
    return here, seconds


def _identity(parts: Sequence[Part], batch: int) -> str:
    """Return what stands for these pictures in this order and these batches."""
    lines = [f"{part.split}\0{part.pictures.path(i)}" for part in parts for i in range(len(part.pictures))]
    return hashlib.sha256("\n".join([str(batch), *lines]).encode()).hexdigest()
