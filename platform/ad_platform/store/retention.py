"""Collections in a SQL database: the right to one, the facts, and marks on what was collected."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, delete, or_, select, update

from ad_platform.errors import ClaimLost
from ad_platform.failpoints import Commit
from ad_platform.records import StageRecord
from ad_platform.states import CollectedState, JobState
from ad_platform.store import retention_contract
from ad_platform.store.collected import GONE, place_of, refuse
from ad_platform.store.database import Database, Transaction
from ad_platform.store.retention_contract import JobFacts, Mark
from ad_platform.store.tables import collected, collector, due, edges, jobs, shipments, stages

_AT_ONCE = 500  # jobs in one statement, or one transaction
_PAGE = 20_000  # jobs that are read at a time
KEEP_TAG = "keep"
_NOT = frozenset({"no", "false", "0"})  # a tag that says so keeps nothing
_ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_COLUMNS = (
    *(jobs.c.id, jobs.c.seq, jobs.c.kind, jobs.c.state, jobs.c.failure, jobs.c.detector, jobs.c.fingerprint),
    *(jobs.c.key, jobs.c.group, jobs.c.retry_of, jobs.c.spec, jobs.c.tags, jobs.c.result),
    jobs.c.finished_at,
)


class SqlRetention(retention_contract.Retention):
    """Collections in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def identity(self) -> str:
        """Return the name that this store was given."""
        return self._db.write(_identity)

    def claim(self, owner: str, seconds: float) -> bool:
        """Take the right to collect, or keep it, for a while."""

        def work(tx: Transaction) -> bool:
            _identity(tx)
            free = or_(collector.c.owner == owner, collector.c.owned_until <= tx.now)
            taken = update(collector).where(free).values(owner=owner, owned_until=tx.now + seconds)
            return tx.run(taken).rowcount == 1

        return self._db.write(work)

    def release(self, owner: str) -> None:
        """Give that right back, if still held."""
        mine = update(collector).where(collector.c.owner == owner)
        self._db.write(lambda tx: tx.run(mine.values(owner=None, owned_until=0.0)))

    def holder(self) -> str | None:
        """Return who holds that right now."""
        row = self._db.read(lambda tx: tx.first(select(collector.c.owner).where(_held(tx))))
        return row.owner if row else None

    def jobs(self) -> dict[str, JobFacts]:
        """Return the facts of every job by id."""
        found: dict[str, JobFacts] = {}
        after = 0
        while rows := self._page(after):
            found |= {row.id: _facts(row) for row in rows}
            after = rows[-1].seq
        # Edges afterwards: those of a job are written together with it.
        ordered = select(edges).order_by(edges.c.job_id, edges.c.position)
        needs: dict[str, list[str]] = defaultdict(list)
        for edge in self._db.read(lambda tx: tx.rows(ordered)):
            needs[edge.job_id].append(edge.need_id)
        for job_id, needed in needs.items():
            if job_id in found:
                found[job_id] = replace(found[job_id], needs=tuple(needed))
        return found

    def _page(self, after: int) -> Sequence[Row[Any]]:
        some = select(*_COLUMNS).where(jobs.c.seq > after).order_by(jobs.c.seq).limit(_PAGE)
        return self._db.read(lambda tx: tx.rows(some))

    def stages(self) -> list[StageRecord]:
        """Return the records of every stage."""
        rows = self._db.read(lambda tx: tx.rows(select(stages)))
        return [StageRecord(**row._mapping) for row in rows]

    def untold(self) -> frozenset[str]:
        """Return the ended jobs of which the tracking server has not been told everything."""
        owed = (
            select(shipments.c.job_id)
            .join(jobs, jobs.c.id == shipments.c.job_id)
            .where(due, jobs.c.state.in_(_ENDED))
        )
        return frozenset(row.job_id for row in self._db.read(lambda tx: tx.rows(owed)))

    def marks(self) -> dict[str, Mark]:
        """Return what was done to which place."""
        rows = self._db.read(lambda tx: tx.rows(select(collected)))
        return {row.place: Mark(**row._mapping) for row in rows}

    def check(self, job_id: str) -> None:
        """Raise Collected if the files of a job were collected."""
        self._db.read(lambda tx: refuse(tx, [job_id], GONE))

    def condemn(self, owner: str, user: str, job_ids: Collection[str]) -> frozenset[str]:
        """Mark ended jobs whose files are about to go, and return those that are marked."""
        ids, done = sorted(job_ids), set[str]()
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            done |= self._db.write(lambda tx, some=some: _condemn(tx, owner, user, some), Commit.CONDEMN)  # type: ignore[misc]
        return frozenset(done)

    def settle(self, owner: str, user: str, marks: Mapping[str, CollectedState | None]) -> None:
        """Note what was done to places; None takes the mark away."""
        listed = sorted(marks.items())
        for start in range(0, len(listed), _AT_ONCE):
            some = listed[start : start + _AT_ONCE]
            self._db.write(lambda tx, some=some: _settle(tx, owner, user, some), Commit.SETTLE)  # type: ignore[misc]


def _identity(tx: Transaction) -> str:
    """Return this store's name; the first who asks makes it up."""
    found = select(collector.c.store)
    row = tx.first(found)
    if row is None:
        fresh = tx.insert(collector).values(id="storage", store=secrets.token_hex(8), owned_until=0.0)
        tx.run(fresh.on_conflict_do_nothing())
        row = tx.rows(found)[0]
    return str(row.store)


def _held(tx: Transaction) -> Any:
    return collector.c.owned_until > tx.now


def _hold(tx: Transaction, owner: str) -> None:
    mine = select(collector.c.id).where(collector.c.owner == owner, _held(tx))
    if tx.first(mine.with_for_update()) is None:
        raise ClaimLost("the storage", owner, "the collection of")


def _condemn(tx: Transaction, owner: str, user: str, ids: Sequence[str]) -> set[str]:
    _hold(tx, owner)
    # Whoever is writing something that needs one of these holds its row: we wait, and are seen afterwards.
    ended = select(jobs.c.id).where(jobs.c.id.in_(ids), jobs.c.state.in_(_ENDED)).order_by(jobs.c.id)
    found = {row.id for row in tx.rows(ended.with_for_update())}
    for each in sorted(found):
        _mark(tx, place_of(each), CollectedState.CONDEMNED, user)
    return found


def _settle(
    tx: Transaction, owner: str, user: str, marks: Sequence[tuple[str, CollectedState | None]]
) -> None:
    _hold(tx, owner)
    for place, state in marks:
        if state is None:
            tx.run(delete(collected).where(collected.c.place == place))
        else:
            _mark(tx, place, state, user)


def _mark(tx: Transaction, place: str, state: CollectedState, user: str) -> None:
    values = {"state": state, "user": user, "at": tx.now}
    fresh = tx.insert(collected).values(place=place, **values)
    tx.run(fresh.on_conflict_do_update(index_elements=["place"], set_=values))


def _facts(row: Row[Any]) -> JobFacts:
    spec, result = row.spec, row.result
    bundle, listed = result.get("bundle"), result.get("stages")
    data = spec.get("dataset") or {}
    tag = row.tags.get(KEEP_TAG)
    return JobFacts(
        id=row.id,
        seq=row.seq,
        kind=row.kind,
        state=row.state,
        failure=row.failure,
        detector=row.detector,
        data=f"{data.get('dataset')}/{data.get('category')}",
        fingerprint=row.fingerprint,
        key=row.key,
        group=row.group,
        retry_of=row.retry_of,
        source=spec.get("source"),
        needs=(),
        keep=tag is not None and str(tag).lower() not in _NOT,
        bundle=bundle if isinstance(bundle, str) else None,
        stages=tuple(
            str(each["key"])
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict) and "key" in each
        ),
        finished_at=row.finished_at,
    )
