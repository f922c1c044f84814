"""Which job stands for a training that trials share, where its first one ended badly."""

from ad_platform import retried
from ad_platform.records import Trial
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.sweeps.work import Work

_BAD = (JobState.FAILED, JobState.CANCELLED)


def stand_ins(store: Store, work: Work, trial: Trial) -> dict[str, str]:
    """Return the newest job of each training a trial needs, by key; a key that nobody used is left out.

    A training that ended badly is run again for a study that began later, and where a person has asked since
    for the failed trial once more. Otherwise the trial falls with it: what failed a minute ago would be tried
    again for each trial, without end.
    """
    keys = [key for key in work.training_keys(trial.params) if key is not None]
    found: dict[str, str] = {}
    since = max(work.study.created_at, _asked_again(store, trial))
    for key, job in store.jobs.of_keys(list(dict.fromkeys(keys))).items():
        newest = retried.newest(store, {key: job})[key]
        if newest.state in _BAD and (newest.finished_at or 0.0) < since:
            newest = store.jobs.retry(newest.id)
        found[key] = newest.id
    return found


def _asked_again(store: Store, trial: Trial) -> float:
    """Return when somebody asked for the failed trial that this one stands for; 0 if it stands for none."""
    if trial.retry_of is None:
        return 0.0
    failed = store.studies.trials(trial.study_id, after=trial.retry_of - 1, limit=1)
    return failed[0].again_at or 0.0
