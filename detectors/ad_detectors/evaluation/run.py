"""Score everything that a detector is evaluated on, batch by batch, then measure."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.api import Detector, Images
from ad_detectors.data.images import TestImages
from ad_detectors.errors import DataError
from ad_detectors.evaluation.measuring import measured
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.parts import parts_of
from ad_detectors.evaluation.scoring import BATCH, Report, score_parts


def evaluate(
    detector: Detector,
    test: TestImages | None,
    report: Report | None = None,
    batch: int = BATCH,
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
    score_parts(detector, parts, partial, report, batch)
    return measured(parts, partial, scratch, exchangeable=detector.batch is None)
