"""Try settings: fit what no stored stage has, score what the measures need, and leave the measures alone."""

import time
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors import registry
from ad_detectors.api import Detector
from ad_detectors.data.layout import Category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import Peeked
from ad_detectors.evaluation import (
    PartialEvaluation,
    Plan,
    SplitImages,
    Trial,
    TrialOutcome,
    plan_trial,
    trial_images,
    write_scores,
)
from ad_detectors.evaluation.spotcheck import SpotCheck
from ad_platform.specs import Json
from ad_platform.states import Directive
from ad_platform.storage.layout import results_prefix
from ad_workers.again import beforehand
from ad_workers.desk import Desk
from ad_workers.fitting import Fit, begin_fit, training_images
from ad_workers.images import open_images
from ad_workers.messages import Done, Report
from ad_workers.publishing import publish
from ad_workers.sealing import sealed_off
from ad_workers.starting import Start, number, start

FITTED = "fitted"  # in a checkpoint's manifest: it is one of scoring, and how many steps the fit had made


def run(desk: Desk) -> Done:
    """Fit, score in rungs, and publish the scores, going on from wherever an attempt before this one was."""
    began = time.monotonic()
    beginning = start(desk)
    category = open_images(desk, beginning.at)
    measured, learnt = _images(desk, category), training_images(desk, category)
    with sealed_off(desk):  # from here on the detector's code runs
        plan = _plan(desk, measured)  # first: nothing is fitted for a measure that these images cannot tell
        fit = begin_fit(desk, beginning, learnt, after=plan.batches, anew=_was_scoring(beginning))
        fit.run()
        fitted = time.monotonic()
        scoring = _Scoring(desk, fit, plan, beginning)
        outcome = scoring.run(_ready(desk, fit, beginning))
    return publish(
        desk,
        results_prefix(desk.assignment.job_id, desk.assignment.attempt),
        lambda folder: write_scores(outcome.images, folder),
        {
            **_result(outcome, scoring.checked),
            "steps": scoring.fitted,
            "fit_seconds": round(fitted - began, 3),  # of this attempt alone, as the next
            "seconds": round(time.monotonic() - began, 3),
        },
    )


def _images(desk: Desk, category: Category) -> SplitImages:
    spec = desk.spec
    return trial_images(
        spec.measures,
        category,
        int(str(spec.config["image_size"])),
        Path(desk.assignment.cache),
        spec.dataset.fingerprint,
        Holdout.parse(spec.holdout),
    )


def _plan(desk: Desk, images: SplitImages) -> Plan:
    spec = desk.spec
    return plan_trial(spec.measures, images, registry.create(spec.detector, spec.config).batch)


def _was_scoring(beginning: Start) -> bool:
    return beginning.resumed is not None and FITTED in beginning.resumed.manifest.meta


def _ready(desk: Desk, fit: Fit, beginning: Start) -> Detector:
    """Return the detector as whoever loads its state has it, whether it was fitted here or found."""
    detector = registry.create(desk.spec.detector, desk.spec.config)
    detector.restore(fit.detector.state())
    detector.batch_divisor = desk.assignment.batch_divisor
    detector.to(beginning.device.device)
    return detector


def _result(outcome: TrialOutcome, checked: SpotCheck) -> dict[str, Json]:
    """Return what the job's record says of a trial."""
    return {
        "leak_check": {**checked.to_json()},
        "metrics": {**outcome.metrics},
        "rungs": list(outcome.rungs),
        "images": len(outcome.images),
        "ms_per_image": outcome.ms_per_image,
    }


class _Scoring:
    """The second half of a trial: called after each batch of images, and at the end."""

    def __init__(self, desk: Desk, fit: Fit, plan: Plan, beginning: Start) -> None:
        context = fit.context
        self._fit, self._beginning = fit, beginning
        self.checked = SpotCheck(None, 0, "not made yet")
        self._desk, self._read, self._vitals = desk, fit.images, context.vitals
        self.fitted = context.before + context.step
        scored = PartialEvaluation(desk.scratch)
        # Scores go with the very stages they were made with: where one had to be fitted again, so are they.
        if _was_scoring(beginning) and not context.made:
            assert beginning.state_folder is not None
            scored = PartialEvaluation.restore(states.load(beginning.state_folder), desk.scratch)
            self.fitted = self.fitted if context.step else number(beginning.resumed, FITTED)
        self._trial = Trial(plan, scored, desk.scratch)
        self._rungs = sum(end <= scored.done for end in plan.rungs)  # whose estimates are on the curve
        self._of = self.fitted + plan.batches
        every = desk.spec.checkpoint_every
        self._checkpointer = context.checkpointer
        self._checkpointer.turn_to(
            save=lambda folder: states.save(scored.state(), folder, sync=False),
            meta=lambda: {"threads": beginning.threads, FITTED: self.fitted},
            # An interval longer than the whole scoring was meant for the fit.
            every=every if every is not None and every <= plan.batches else None,
        )

    def run(self, detector: Detector) -> TrialOutcome:
        """Score what is not scored yet, and measure."""
        if self._checkpointer.points:
            # The fit lies in its stages: whoever goes on from here need not make a step of it again.
            self._checkpointer.write(self.fitted, self._of)
        again = beforehand(
            self._desk,
            self._beginning,
            self._trial.plan.parts,
            detector.batch,
            self._written(),
            (max(self._beginning.step, self.fitted), self._of),
        )
        self._trial.score(detector, self._after)
        self.checked = again.check(self._trial.scored)
        if self.checked.passed is False:
            # Trials are compared by these scores alone, and nobody looks at each: it must not win.
            raise Peeked(f"detector '{self._desk.spec.detector}' cannot be trusted: {self.checked.detail}")
        self._tell(self._of, "measuring")
        outcome = self._trial.outcome(detector)
        if self._checkpointer.points:
            self._checkpointer.settle(self._of)
        return outcome

    def _written(self) -> Path:
        """Write the fitted model for whoever scores a few pictures again, and return its folder."""
        folder, spec = self._desk.scratch / "again" / "model", self._desk.spec
        if self._desk.witness is not None:
            states.save_model(folder, spec.detector, spec.config, self._fit.detector.state())
        return folder

    def _after(self, batch: int, of: int) -> None:
        """Report that this many batches of all are scored; raises Stop when told to stop."""
        step, rungs = self.fitted + batch, len(self._trial.rungs)
        estimates, first = self._trial.estimates, self._trial.plan.measures[0]
        if rungs > self._rungs:
            self._checkpointer.add(step, {first: estimates[first], **self._vitals.sample()})
        self._rungs = rungs
        told = f", rung {rungs} of {len(self._trial.plan.rungs)}" if rungs else ""
        self._tell(step, f"scoring images{told}")
        if self._desk.listen() is Directive.PRUNE:
            self._checkpointer.write(step, self._of)  # what is known of it is worth keeping
        self._checkpointer.safe_point(step, self._of)

    def _tell(self, step: int, message: str) -> None:
        self._desk.say(
            Report(
                step=step,
                of=self._of,
                metrics=self._trial.estimates,
                message=message,
                images=self._read.read + self._trial.scored.done,
            )
        )
