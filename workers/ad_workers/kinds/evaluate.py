"""Score a category's test and held-out images with a fitted detector, and measure how well it does."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from ad_detectors import checkpoint as states
from ad_detectors.data.splits import Holdout
from ad_detectors.dividing import scores_in_parts
from ad_detectors.evaluation import Evaluation, PartialEvaluation, evaluate, split_images, write_results
from ad_detectors.evaluation.image_result import TEST
from ad_detectors.evaluation.parts import parts_of
from ad_detectors.evaluation.scoring import BATCH, count_batches
from ad_detectors.evaluation.spotcheck import SpotCheck
from ad_detectors.report.pictures import write_pictures
from ad_detectors.robustness.evaluating import Outcome, PartialAttacks
from ad_platform.benchmarks.addresses import RULES
from ad_platform.specs import Json
from ad_platform.storage.layout import results_prefix
from ad_platform.storage.metrics import segments
from ad_workers import attacking
from ad_workers.again import beforehand
from ad_workers.checkpointer import Checkpointer
from ad_workers.describing import rules
from ad_workers.desk import Desk
from ad_workers.dividing import divide
from ad_workers.images import open_images
from ad_workers.messages import Done, Report
from ad_workers.publishing import publish
from ad_workers.sealing import sealed_off
from ad_workers.starting import Start, start
from ad_workers.vitals import peak_memory_mb


def run(desk: Desk) -> Done:
    """Evaluate the model of the source job, going on from what was scored before."""
    began = time.monotonic()
    beginning = start(desk)
    category, model = open_images(desk, beginning.at), desk.fetch_source("evaluate")
    images = split_images(
        category,
        int(states.about_model(model)[1]["image_size"]),
        Path(desk.assignment.cache),
        desk.spec.dataset.fingerprint,
        Holdout.parse(desk.spec.holdout),
    )
    with sealed_off(desk):  # from here on the detector's code runs
        detector = states.load_model(model, beginning.device.device)
        divide(desk, detector, can=scores_in_parts(detector))
        scored, attacked = _restored(beginning, desk.scratch)
        parts = parts_of(images.test, images.validation, images.calibration)
        batches, to_attack = (
            count_batches(parts, detector.batch or BATCH),
            attacking.pictures(desk.spec, parts),
        )
        again = beforehand(
            desk, beginning, parts, detector.batch, model, (beginning.step, batches + to_attack)
        )
        reporter = _Reporter(desk, beginning, scored, attacked, batches + to_attack)
        evaluation = evaluate(
            detector,
            images.test,
            reporter,
            done=scored,
            validation=images.validation,
            calibration=images.calibration,
            scratch=desk.scratch,
        )
        checked = again.check(scored)
        device = beginning.device.device
        outcomes = attacking.tried(desk.spec, detector, parts, device, reporter.attacking, attacked)
        made = desk.scratch / "made"
        write_results(evaluation, made, category.category)
        attacking.write(outcomes, evaluation, made)
        title = f"{desk.spec.detector} on {category.dataset}/{category.category}"
        write_pictures(evaluation, made, detector, images.test, title, reporter.drawing)
    return publish(
        desk,
        results_prefix(desk.assignment.job_id, desk.assignment.attempt),
        partial(_move, made),
        {
            **_result(evaluation, checked, outcomes),
            RULES: {**rules(desk.spec.detector)},
            "peak_memory_mb": reporter.peak(),
            "seconds": round(time.monotonic() - began, 3),
        },
    )


def _result(evaluation: Evaluation, checked: SpotCheck, outcomes: Sequence[Outcome]) -> dict[str, Json]:
    """Return what the job's record says of an evaluation."""
    return {
        "images": len(evaluation.images),
        "unmarked": len(evaluation.unmarked),
        "ms_per_image": evaluation.ms_per_image,
        "operating_point": {**evaluation.operating.to_json()} if evaluation.operating is not None else None,
        "observed": cast(Json, evaluation.observed.to_json()) if evaluation.observed is not None else None,
        "leak_check": {**checked.to_json()},
        "metrics": {**evaluation.flat(), **attacking.measures(outcomes)},
        "intervals": {
            **{f"{TEST}/{name}": [each.low, each.high] for name, each in evaluation.intervals.items()},
            **attacking.intervals(outcomes),
        },
        "attacks": [cast(Json, each.to_json()) for each in outcomes],
        "defect_intervals": cast(Json, evaluation.to_json()["defect_intervals"]),
        "defects": {defect: {**measures} for defect, measures in evaluation.defects.items()},
    }


def _move(made: Path, folder: Path) -> None:
    for path in made.iterdir():
        path.rename(folder / path.name)


def _restored(beginning: Start, scratch: Path) -> tuple[PartialEvaluation, PartialAttacks]:
    if beginning.state_folder is None:
        return PartialEvaluation(scratch), PartialAttacks()
    state = states.load(beginning.state_folder)
    return PartialEvaluation.restore(state, scratch), PartialAttacks.restore(state)


class _Reporter:
    """Called after each batch of images: progress up, orders down, a checkpoint when it is worth it."""

    def __init__(
        self,
        desk: Desk,
        beginning: Start,
        scored: PartialEvaluation,
        attacked: PartialAttacks,
        of: int,
    ) -> None:
        self.desk, self.scored, self.of = desk, scored, of
        self._device, self._peak = beginning.device.device, 0.0
        self.checkpointer = Checkpointer(
            desk,
            save=lambda folder: states.save({**scored.state(), **attacked.state()}, folder, sync=False),
            meta=lambda: {"threads": beginning.threads},
            committed=segments(beginning.resumed.manifest) if beginning.resumed else [],
        )

    def __call__(self, batch: int, of: int) -> None:
        """Report that this many batches of all are scored; raises Stop when told to stop."""
        doing = "scoring images" if batch < of else "measuring"
        self._peak = peak_memory_mb(self._device)  # not later: measuring takes memory of its own
        self._safe_point(batch, doing)

    def attacking(self, done: int, of: int) -> None:
        """Report that so many pictures of all were attacked; raises Stop when told to stop."""
        self._peak = max(self._peak, peak_memory_mb(self._device))
        self._safe_point(self.of - of + done, f"attacking images: {done} of {of}")

    def _safe_point(self, step: int, doing: str) -> None:
        self.desk.say(Report(step=step, of=self.of, message=doing, images=self.scored.done))
        self.checkpointer.safe_point(step, self.of)

    def peak(self) -> float:
        """Return the most memory that scoring took, in MiB; where none was left, what the process has."""
        return round(self._peak or peak_memory_mb(self._device), 1)

    def drawing(self, drawn: int, of: int) -> None:
        """Report that so many pictures of all are drawn; there is nothing to go on from here."""
        self.desk.obey()
        message = f"drawing pictures: {drawn} of {of}"
        self.desk.say(Report(step=self.of, of=self.of, message=message, images=self.scored.done))
