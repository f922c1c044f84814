"""Tells the tracking server what studies have come to: one run each, above the runs of its jobs."""

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ad_platform.errors import MissingExtra, Unavailable
from ad_platform.records import Job, Study
from ad_platform.states import StudyState
from ad_platform.store.contract import Store
from ad_platform.sweeps.report import facts_of, report_of
from ad_platform.sweeps.report.view import view
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.work import SWEEP_TAG
from ad_platform.tracking import facts, study_facts
from ad_platform.tracking.parents import ParentRuns
from ad_platform.tracking.protocol import RunState, Tracker

log = logging.getLogger(__name__)

REPORT_EVERY = 600.0  # seconds between two reports of one
ENDED = {StudyState.FINISHED: RunState.FINISHED, StudyState.STOPPED: RunState.KILLED}

Report = Callable[[Store, Study, Path], None]


class StudyRuns:
    """Keeps the runs of studies up to date; doing it again, here or in another process, changes nothing."""

    def __init__(
        self,
        store: Store,
        tracker: Tracker,
        report: Report = report_of,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._tracker = store, tracker
        self._report, self._clock = report, clock
        self._parents = ParentRuns(tracker, clock)
        self._reported: dict[str, float] = {}
        self._owed: set[str] = set()  # ids of studies with news that their last report lacks

    def __call__(self) -> int:
        """Ship the studies that are due, and return how many; raise Unavailable."""
        count = 0
        for study in self._due():
            self._parents.look(study.id)
            try:
                self._ship(study)
            except Unavailable:
                self._parents.forget()
                self._reported.pop(study.id, None)
                raise
            except Exception:  # one strange study must not keep the others from being shown
                log.exception("sweep %s could not be shipped; trying again later", study.name)
            count += 1
        return count

    def parent_of(self, job: Job) -> str | None:
        """Return the run of the study that a job belongs to, made if need be; None if to none."""
        studies = self._store.studies
        return self._parents.above(job, SWEEP_TAG, lambda name: facts.study_run(studies.get(name)))

    def _due(self) -> list[Study]:
        """Return studies with news, and those whose report has waited long enough; each once in a while."""
        now = self._clock()
        fresh = {study.id: study for study in self._store.studies.unshipped()}
        for study_id in sorted(self._owed - set(fresh)):
            if now - self._reported[study_id] >= REPORT_EVERY:
                fresh[study_id] = self._store.studies.get(study_id)
        return [study for study in fresh.values() if study.state in ENDED or self._parents.is_due(study.id)]

    def _ship(self, study: Study) -> None:
        spec = StudySpec.from_json(study.spec)
        trials = self._store.studies.trials(study.id)
        seen = view(study, spec, trials, {}, facts_of(study, spec))
        run_id = self._parents.ensure(facts.study_run(study))
        if self._parents.is_new(study.id):
            self._tracker.log_params(run_id, study_facts.params(spec))
        self._parents.add(run_id, study.id, [*study_facts.points(seen), *study_facts.final(seen)])
        problem = self._log_report(run_id, study)
        tags = study_facts.tags(seen)
        if problem:
            tags[facts.PROBLEM_TAG] = problem
        self._tracker.log_tags(run_id, tags)
        if study.state in ENDED:
            self._tracker.end_run(run_id, ENDED[study.state], study.finished_at or study.created_at)
        else:
            self._tracker.open_run(run_id)
        self._store.studies.shipped(study, run_id)

    def _log_report(self, run_id: str, study: Study) -> str:
        """Build and upload the report if it is time; return what was in the way."""
        waited = self._clock() - self._reported.get(study.id, -REPORT_EVERY)
        if study.state not in ENDED and waited < REPORT_EVERY:
            self._owed.add(study.id)
            return ""
        self._reported[study.id] = self._clock()
        self._owed.discard(study.id)
        with tempfile.TemporaryDirectory(prefix="adctl-report-") as name:
            try:
                self._report(self._store, study, Path(name))
            except MissingExtra as error:
                return str(error)
            self._tracker.log_artifacts(run_id, Path(name))
        return ""
