"""Pushed pictures in a SQL database."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    exists,
    select,
)

from ad_platform.failpoints import Commit
from ad_platform.records import PushedData
from ad_platform.states import JobState
from ad_platform.store.database import Database, Transaction
from ad_platform.store.pushed_contract import Pushed
from ad_platform.store.tables import jobs, metadata

pushed = Table(
    "pushed",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("at", Double, nullable=False),
)
_UNENDED = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)


def is_pushed(of: FromClause = jobs) -> ColumnElement[bool]:
    """Return the condition that the images of a job can be fetched from the storage."""
    return exists().where(pushed.c.fingerprint == of.c.fingerprint)


class SqlPushed(Pushed):
    """Pushed pictures in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, note: PushedData) -> PushedData:
        """Note pictures whose list and files are in the storage."""
        return self._db.write(lambda tx: _record(tx, note), Commit.PUSH)

    def get(self, fingerprint: str) -> PushedData | None:
        """Return the note of a fingerprint, if there is one."""
        found = select(pushed).where(pushed.c.fingerprint == fingerprint)
        row = self._db.read(lambda tx: tx.first(found))
        return None if row is None else _data(row)

    def all(self) -> list[PushedData]:
        """Return every note."""
        ordered = select(pushed).order_by(
            pushed.c.dataset, pushed.c.category, pushed.c.at.desc(), pushed.c.fingerprint
        )
        return [_data(row) for row in self._db.read(lambda tx: tx.rows(ordered))]

    def forget(self, fingerprint: str) -> bool:
        """Drop a note before its files go, unless a job that has not ended needs it."""
        return self._db.write(lambda tx: _forget(tx, fingerprint), Commit.UNPUSH, lambda gone: gone)


def _record(tx: Transaction, note: PushedData) -> PushedData:
    values = {
        "dataset": note.dataset,
        "category": note.category,
        "files": note.files,
        "size": note.size,
        "user": note.user,
        "at": tx.now,
    }
    fresh = tx.insert(pushed).values(fingerprint=note.fingerprint, **values)
    done = fresh.on_conflict_do_update(index_elements=["fingerprint"], set_=values)
    return _data(tx.run(done.returning(*pushed.c)).one())


def _forget(tx: Transaction, fingerprint: str) -> bool:
    needed = exists().where(jobs.c.state.in_(_UNENDED), jobs.c.fingerprint == fingerprint)
    here = pushed.c.fingerprint == fingerprint
    tx.run(delete(pushed).where(here, ~needed))
    return tx.first(select(pushed.c.fingerprint).where(here)) is None


def _data(row: Row[tuple[object, ...]]) -> PushedData:
    return PushedData(**row._mapping)
