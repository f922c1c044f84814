"""The trials of studies: begun together with their jobs, and ended once."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, exists, func, select, update

from ad_platform.errors import UnknownName
from ad_platform.records import Job, Trial
from ad_platform.specs import Submission
from ad_platform.states import TrialOrigin, TrialState
from ad_platform.store.database import Transaction
from ad_platform.store.rows import storable
from ad_platform.store.submissions import NewId, submit_all
from ad_platform.store.tables import trials


def begin(
    tx: Transaction, trial: Trial, submissions: Sequence[Submission], new_id: NewId
) -> tuple[Trial, list[Job]]:
    """Remember a trial with its jobs; one of a known number, or for a failed trial once more, stands."""
    fresh = tx.insert(trials).values(
        study_id=trial.study_id,
        number=trial.number,
        state=trial.state,
        origin=trial.origin,
        params=dict(trial.params),
        values=_listed(trial.values),
        error=storable(trial.error),
        retry_of=trial.retry_of,
        asked_at=tx.now,
        ended_at=None if trial.state is TrialState.RUNNING else tx.now,
    )
    tx.run(fresh.on_conflict_do_nothing())
    row = tx.first(_of(trial.study_id).where(trials.c.number == trial.number))
    if row is None:  # another one stands in the place of the failed trial
        row = tx.rows(_of(trial.study_id).where(trials.c.retry_of == trial.retry_of))[0]
        return _trial(row), []
    return _trial(row), submit_all(tx, submissions, new_id) if submissions else []


def end(
    tx: Transaction,
    study_id: str,
    number: int,
    state: TrialState,
    values: Sequence[float] | None,
    error: str,
) -> Trial:
    """End a trial that has not ended."""
    here = (trials.c.study_id == study_id, trials.c.number == number)
    ended = update(trials).where(*here, trials.c.state == TrialState.RUNNING)
    tx.run(ended.values(state=state, values=_listed(values), error=storable(error), ended_at=tx.now))
    row = tx.first(select(trials).where(*here))
    if row is None:
        known = tx.rows(select(trials.c.number).where(trials.c.study_id == study_id))
        raise UnknownName("trial", str(number), [str(each.number) for each in known])
    return _trial(row)


def want_again(tx: Transaction, study_id: str) -> list[Trial]:
    """Mark the failed trials that can be run once more and are not yet; return them in order."""
    later = trials.alias("later")
    retried = exists().where(later.c.study_id == trials.c.study_id, later.c.retry_of == trials.c.number)
    failed = (trials.c.state == TrialState.FAILED, trials.c.origin != TrialOrigin.RULED_OUT)
    fitting = (trials.c.study_id == study_id, *failed, trials.c.again_at.is_(None), ~retried)
    rows = tx.rows(update(trials).where(*fitting).values(again_at=tx.now).returning(*trials.c))
    return sorted(map(_trial, rows), key=lambda trial: trial.number)


def search(
    tx: Transaction, study_id: str, states: Sequence[TrialState], after: int, limit: int | None
) -> list[Trial]:
    """Return the trials of a study beyond a number, in order."""
    found = _of(study_id).where(trials.c.number > after).order_by(trials.c.number).limit(limit)
    if states:
        found = found.where(trials.c.state.in_(states))
    return [_trial(row) for row in tx.rows(found)]


def counts(tx: Transaction, study_id: str) -> Mapping[tuple[TrialOrigin, TrialState], int]:
    """Return how many trials of each origin are in each state."""
    kinds = (trials.c.origin, trials.c.state)
    counted = select(*kinds, func.count().label("number")).where(trials.c.study_id == study_id)
    return {(row.origin, row.state): row.number for row in tx.rows(counted.group_by(*kinds))}


def _of(study_id: str) -> Any:
    return select(trials).where(trials.c.study_id == study_id)


def _listed(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]


def _trial(row: Row[Any]) -> Trial:
    values = dict(row._mapping)
    return Trial(**{**values, "values": None if values["values"] is None else tuple(values["values"])})
