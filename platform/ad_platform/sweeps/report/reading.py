"""Builds the report of a study from what the store knows of it now."""

from collections.abc import Sequence
from pathlib import Path

from ad_platform.records import Study, Trial
from ad_platform.store.contract import Store
from ad_platform.sweeps.report.building import build
from ad_platform.sweeps.report.facts import facts_of
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.work import keys_of, rungs_of

AT_ONCE = 500  # trials whose jobs are read together


def report_of(store: Store, study: Study, folder: Path) -> None:
    """Write the report of a study into a folder; raise MissingExtra where it cannot be drawn."""
    spec = StudySpec.from_json(study.spec)
    trials = store.studies.trials(study.id)
    facts = facts_of(study, spec, None if study.finished_at is not None else store.now())
    build(study, spec, trials, _rungs(store, study, spec, trials), facts, folder)


def _rungs(store: Store, study: Study, spec: StudySpec, trials: Sequence[Trial]) -> dict[int, list[float]]:
    """Return what was measured of each trial on the way: its jobs remember it."""
    found: dict[int, list[float]] = {}
    for start in range(0, len(trials), AT_ONCE):
        keys = {trial.number: keys_of(study, spec, trial.number) for trial in trials[start : start + AT_ONCE]}
        jobs = store.jobs.of_keys([key for each in keys.values() for key in each])
        for number, wanted in keys.items():
            reached = rungs_of([jobs[key] for key in wanted]) if set(wanted) <= set(jobs) else {}
            if reached:
                found[number] = list(reached.values())
    return found
