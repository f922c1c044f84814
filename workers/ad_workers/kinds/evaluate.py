"""Score a category's test and held-out images with a fitted detector, and measure how well it does."""

import time
from functools import partial
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors.data.splits import Holdout
from ad_detectors.evaluation import Evaluation, PartialEvaluation, evaluate, split_images, write_results
from ad_detectors.evaluation.outcome import TEST
from ad_detectors.report.pictures import write_pictures
from ad_platform.errors import InvalidRequest
from ad_platform.specs import Json
from ad_platform.storage.layout import results_prefix
from ad_platform.storage.metrics import segments
from ad_workers.checkpointer import Checkpointer
from ad_workers.desk import Desk
from ad_workers.images import open_images
from ad_workers.messages import Done, Report
from ad_workers.publishing import publish
from ad_workers.starting import Start, start
from ad_workers.vitals import peak_memory_mb


def run(desk: Desk) -> Done:
    """Evaluate the model of the source job, going on from what was scored before."""
    began = time.monotonic()
    beginning = start(desk)
    category = open_images(desk)
    detector = states.load_model(_fetch_model(desk), beginning.device.device)
    images = split_images(
        category,
        detector.config.image_size,
        Path(desk.assignment.cache),
        desk.spec.dataset.fingerprint,
        Holdout.parse(desk.spec.holdout),
    )
    scored = _restored(beginning, desk.scratch)
    reporter = _Reporter(desk, beginning, scored)
    evaluation = evaluate(
        detector,
        images.test,
        reporter,
        done=scored,
        validation=images.validation,
        calibration=images.calibration,
        scratch=desk.scratch,
    )
    made = desk.scratch / "made"
    write_results(evaluation, made, category.category)
    title = f"{desk.spec.detector} on {category.dataset}/{category.category}"
    write_pictures(evaluation, made, detector, images.test, title, reporter.drawing)
    return publish(
        desk,
        results_prefix(desk.assignment.job_id, desk.assignment.attempt),
        partial(_move, made),
        {
            **_result(evaluation),
            "peak_memory_mb": reporter.peak(),
            "seconds": round(time.monotonic() - began, 3),
        },
    )


def _result(evaluation: Evaluation) -> dict[str, Json]:
    """Return what the job's record says of an evaluation."""
    return {
        "images": len(evaluation.images),
        "unmarked": len(evaluation.unmarked),
        "ms_per_image": evaluation.ms_per_image,
        "operating_point": {**evaluation.operating.to_json()} if evaluation.operating is not None else None,
        "metrics": {**evaluation.flat()},
        "intervals": {f"{TEST}/{name}": [each.low, each.high] for name, each in evaluation.intervals.items()},
        "defects": {defect: {**measures} for defect, measures in evaluation.defects.items()},
    }


def _move(made: Path, folder: Path) -> None:
    for path in made.iterdir():
        path.rename(folder / path.name)


def _fetch_model(desk: Desk) -> Path:
    if desk.assignment.source is None:
        raise InvalidRequest(
            f"job {desk.spec.source} has no fitted model to evaluate; it must have succeeded"
        )
    folder = desk.scratch / "model"
    desk.storage.fetch(desk.assignment.source, folder)
    return folder


def _restored(beginning: Start, scratch: Path) -> PartialEvaluation:
    if beginning.state_folder is None:
        return PartialEvaluation(scratch)
    return PartialEvaluation.restore(states.load(beginning.state_folder), scratch)


class _Reporter:
    """Called after each batch of images: progress up, orders down, a checkpoint when it is worth it."""

    def __init__(self, desk: Desk, beginning: Start, scored: PartialEvaluation) -> None:
        self.desk, self.scored = desk, scored
        self.of = 0
        self._device, self._peak = beginning.device.device, 0.0
        self.checkpointer = Checkpointer(
            desk,
            save=lambda folder: states.save(scored.state(), folder, sync=False),
            meta=lambda: {"threads": beginning.threads},
            committed=segments(beginning.resumed.manifest) if beginning.resumed else [],
        )

    def __call__(self, batch: int, of: int) -> None:
        """Report that this many batches of all are scored; raises Stop when told to stop."""
        self.of = of
        self._peak = peak_memory_mb(self._device)  # not later: measuring takes memory of its own
        doing = "scoring images" if batch < of else "measuring"
        self.desk.say(Report(step=batch, of=of, message=doing, images=self.scored.done))
        self.checkpointer.safe_point(batch, of)

    def peak(self) -> float:
        """Return the most memory that scoring took, in MiB; where none was left, what the process has."""
        return round(self._peak or peak_memory_mb(self._device), 1)

    def drawing(self, drawn: int, of: int) -> None:
        """Report that so many pictures of all are drawn; there is nothing to go on from here."""
        self.desk.obey()
        message = f"drawing pictures: {drawn} of {of}"
        self.desk.say(Report(step=self.of, of=self.of, message=message, images=self.scored.done))
