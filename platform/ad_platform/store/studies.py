"""Durable searches; one process at a time advances one."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Unpack

from sqlalchemy import Row, exists, or_, select, update

from ad_platform.errors import IllegalTransition, InvalidValue, UnknownName
from ad_platform.failpoints import Commit
from ad_platform.records import Job, Study, Trial
from ad_platform.requests import GroupFilter
from ad_platform.specs import Json, Submission
from ad_platform.states import STUDY_ALLOWED, StudyState, TrialOrigin, TrialState
from ad_platform.store import claims, groups, study_contract, trials
from ad_platform.store.database import Database, Transaction
from ad_platform.store.submissions import NewId
from ad_platform.store.tables import studies
from ad_platform.store.tables import trials as trial_rows

_NAMES = [field.name for field in fields(Study)]


class SqlStudies(study_contract.Studies):
    """Studies in a SQL database."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._db, self._new_id = database, new_id

    def create(self, study: Study) -> Study:
        """Remember a study; the same name again returns the first."""
        return self._db.write(lambda tx: _create(tx, study))

    def get(self, name: str) -> Study:
        """Return a study by name, id or the beginning of its id."""
        return self._db.read(lambda tx: _study(claims.find(tx, studies, name, "sweep")))

    def search(self, states: Sequence[StudyState] = (), limit: int = 100) -> list[Study]:
        """Return the studies in these states, newest first."""
        found = groups.statement(studies, limit=limit)
        if states:
            found = found.where(studies.c.state.in_(states))
        return self._db.read(lambda tx: [_study(row) for row in tx.rows(found)])

    def find(self, **wanted: Unpack[GroupFilter]) -> list[Study]:
        """Return the studies that a filter keeps, newest first unless told otherwise."""
        found = groups.statement(studies, **wanted)
        return self._db.read(lambda tx: [_study(row) for row in tx.rows(found)])

    def names(self) -> set[str]:
        """Return the names of all studies."""
        return self._db.read(lambda tx: {row.name for row in tx.rows(select(studies.c.name))})

    def to_advance(self) -> list[Study]:
        """Return studies that run, and others with trials that have not ended."""
        open_ = exists().where(
            trial_rows.c.study_id == studies.c.id, trial_rows.c.state == TrialState.RUNNING
        )
        found = select(studies).where(or_(studies.c.state == StudyState.RUNNING, open_))
        ordered = found.order_by(studies.c.created_at)
        return self._db.read(lambda tx: [_study(row) for row in tx.rows(ordered)])

    def claim(self, study_id: str, owner: str, seconds: float) -> bool:
        """Take the right to advance a study for a while; False if somebody else holds it."""
        return self._db.write(lambda tx: claims.claim(tx, studies, study_id, owner, seconds))

    def prolong(self, study_id: str, owner: str, seconds: float) -> bool:
        """Hold a study for longer; False if somebody else has held it since."""
        return self._db.write(lambda tx: claims.prolong(tx, studies, study_id, owner, seconds))

    def release(self, study_id: str, owner: str) -> None:
        """Give that right back, if still held."""
        self._db.write(lambda tx: claims.release(tx, studies, study_id, owner))

    def steer(
        self,
        study_id: str,
        *,
        state: StudyState | None = None,
        wanted: int | None = None,
        parallel: int | None = None,
    ) -> Study:
        """Change what a person may change, and return the study."""
        return self._db.write(lambda tx: _steer(tx, study_id, state, wanted, parallel))

    def begin_trial(
        self, trial: Trial, owner: str, submissions: Sequence[Submission]
    ) -> tuple[Trial, list[Job]]:
        """Remember a trial together with its jobs, and return both."""

        def work(tx: Transaction) -> tuple[Trial, list[Job]]:
            claims.hold(tx, studies, trial.study_id, owner, "study")
            return trials.begin(tx, trial, submissions, self._new_id)

        return self._db.write(work, Commit.BEGIN_TRIAL)

    def end_trial(
        self,
        study_id: str,
        number: int,
        state: TrialState,
        values: Sequence[float] | None,
        error: str = "",
        *,
        owner: str | None = None,
    ) -> Trial:
        """End a trial, and return it; an ended one stands as it is."""

        def work(tx: Transaction) -> Trial:
            if owner is not None:
                claims.hold(tx, studies, study_id, owner, "study")
            return trials.end(tx, study_id, number, state, values, error)

        return self._db.write(work, Commit.END_TRIAL)

    def retry(self, study_id: str) -> list[Trial]:
        """Ask for every failed trial to be run once more, have the study run, and return those trials."""

        def work(tx: Transaction) -> list[Trial]:
            wanted = trials.want_again(tx, study_id)
            if wanted:
                _steer(tx, study_id, StudyState.RUNNING, None, None)
                more = {"version": studies.c.version + 1}
                tx.run(update(studies).where(studies.c.id == study_id).values(**more))
            return wanted

        return self._db.write(work)

    def trials(
        self, study_id: str, states: Sequence[TrialState] = (), after: int = -1, limit: int | None = None
    ) -> list[Trial]:
        """Return the trials of a study beyond a number, in order."""
        return self._db.read(lambda tx: trials.search(tx, study_id, states, after, limit))

    def counts(self, study_id: str) -> Mapping[tuple[TrialOrigin, TrialState], int]:
        """Return how many trials of each origin are in each state."""
        return self._db.read(lambda tx: trials.counts(tx, study_id))

    def summarise(
        self, study_id: str, owner: str, summary: Mapping[str, Json], *, finished: bool = False
    ) -> Study:
        """Keep what a study has come to, and end it if it runs and is finished."""
        return self._db.write(lambda tx: _summarise(tx, study_id, owner, summary, finished))

    def unshipped(self) -> list[Study]:
        """Return the studies that the tracking server has not been told everything about."""
        found = select(studies).where(studies.c.version > studies.c.shipped_version)
        return self._db.read(
            lambda tx: [_study(row) for row in tx.rows(found.order_by(studies.c.created_at))]
        )

    def shipped(self, study: Study, run_id: str) -> None:
        """Note that the tracking server knows a study up to its version, and by which run."""
        older = (studies.c.id == study.id, studies.c.shipped_version <= study.version)
        known = update(studies).where(*older).values(run_id=run_id, shipped_version=study.version)
        self._db.write(lambda tx: tx.run(known))


def _create(tx: Transaction, study: Study) -> Study:
    _check_sizes(study.wanted, study.parallel)
    fresh = tx.insert(studies).values(
        id=study.id,
        name=study.name,
        state=study.state,
        spec=dict(study.spec),
        user=study.user,
        wanted=study.wanted,
        parallel=study.parallel,
        created_at=tx.now,
        owned_until=0.0,
        summary=dict(study.summary),
        version=1,
        shipped_version=0,
    )
    tx.run(fresh.on_conflict_do_nothing(index_elements=["name"]))
    return _study(tx.rows(select(studies).where(studies.c.name == study.name))[0])


def _check_sizes(wanted: int, parallel: int) -> None:
    if not 0 <= wanted <= 1_000_000:
        raise InvalidValue(f"a study has from 0 to 1000000 trials, not {wanted}")
    if not 1 <= parallel <= 10_000:
        raise InvalidValue(f"a study runs from 1 to 10000 trials at a time, not {parallel}")


def _by_id(tx: Transaction, study_id: str) -> Study:
    row = tx.first(select(studies).where(studies.c.id == study_id))
    if row is None:
        raise UnknownName("sweep", study_id, [each.name for each in tx.rows(select(studies.c.name))])
    return _study(row)


def _steer(
    tx: Transaction, study_id: str, state: StudyState | None, wanted: int | None, parallel: int | None
) -> Study:
    row = tx.first(select(studies).where(studies.c.id == study_id).with_for_update())
    study = _by_id(tx, study_id) if row is None else _study(row)
    new = study.state if state is None else state
    if new is not study.state and new not in STUDY_ALLOWED[study.state]:
        raise IllegalTransition(study.name, study.state, new, "sweep")
    size = study.wanted if wanted is None else wanted
    side = study.parallel if parallel is None else parallel
    _check_sizes(size, side)
    if (new, size, side) == (study.state, study.wanted, study.parallel):
        return study
    ended = new in (StudyState.STOPPED, StudyState.FINISHED)
    changed = update(studies).where(studies.c.id == study_id)
    tx.run(
        changed.values(
            state=new,
            wanted=size,
            parallel=side,
            finished_at=tx.now if ended else None,
            version=studies.c.version + 1,
        )
    )
    return _by_id(tx, study_id)


def _summarise(
    tx: Transaction, study_id: str, owner: str, summary: Mapping[str, Json], finished: bool
) -> Study:
    claims.hold(tx, studies, study_id, owner, "study")
    study = _by_id(tx, study_id)
    ends = finished and study.state is StudyState.RUNNING
    if not ends and dict(summary) == dict(study.summary):
        return study
    values: dict[str, Any] = {"summary": dict(summary), "version": studies.c.version + 1}
    if ends:
        values |= {"state": StudyState.FINISHED, "finished_at": tx.now}
    tx.run(update(studies).where(studies.c.id == study_id).values(**values))
    return _by_id(tx, study_id)


def _study(row: Row[Any]) -> Study:
    return Study(**{name: row._mapping[name] for name in _NAMES})
