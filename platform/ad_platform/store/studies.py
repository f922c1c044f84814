"""Durable searches; one process at a time advances one."""

from typing import Any

from sqlalchemy import Row, or_, select, update

from ad_platform.errors import UnknownName
from ad_platform.records import Study
from ad_platform.store import contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.tables import studies


class SqlStudies(contract.Studies):
    """Studies in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, study: Study) -> Study:
        """Remember a study; the same name again returns the first."""
        return self._db.write(lambda tx: _create(tx, study))

    def get(self, name: str) -> Study:
        """Return a study by name or id."""
        return self._db.read(lambda tx: _get(tx, name))

    def claim(self, study_id: str, owner: str, seconds: float) -> bool:
        """Take the right to advance a study for a while; False if somebody else holds it."""
        return self._db.write(lambda tx: _claim(tx, study_id, owner, seconds))

    def release(self, study_id: str, owner: str) -> None:
        """Give that right back, if still held."""
        mine = (studies.c.id == study_id, studies.c.owner == owner)
        self._db.write(lambda tx: tx.run(update(studies).where(*mine).values(owner=None, owned_until=0.0)))


def _create(tx: Transaction, study: Study) -> Study:
    fresh = tx.insert(studies).values(
        id=study.id,
        name=study.name,
        state=study.state,
        spec=dict(study.spec),
        created_at=tx.now,
        owned_until=0.0,
    )
    tx.run(fresh.on_conflict_do_nothing(index_elements=["name"]))
    return _study(tx.rows(select(studies).where(studies.c.name == study.name))[0])


def _get(tx: Transaction, name: str) -> Study:
    row = tx.first(select(studies).where(studies.c.name == name)) or tx.first(
        select(studies).where(studies.c.id == name)
    )
    if row is None:
        raise UnknownName("study", name, [row.name for row in tx.rows(select(studies.c.name))])
    return _study(row)


def _claim(tx: Transaction, study_id: str, owner: str, seconds: float) -> bool:
    free = or_(studies.c.owner == owner, studies.c.owned_until <= tx.now)
    taken = update(studies).where(studies.c.id == study_id, free)
    return tx.run(taken.values(owner=owner, owned_until=tx.now + seconds)).rowcount == 1


def _study(row: Row[Any]) -> Study:
    return Study(id=row.id, name=row.name, state=row.state, spec=row.spec, created_at=row.created_at)
