"""Which model carries which alias."""

from dataclasses import asdict

from sqlalchemy import ColumnElement, Row, func, select, update

from ad_platform.errors import ChampionChanged, IllegalTransition
from ad_platform.failpoints import Commit
from ad_platform.records import Champion
from ad_platform.states import JobState
from ad_platform.store import contract
from ad_platform.store.collected import refuse
from ad_platform.store.database import Database, Transaction
from ad_platform.store.rows import get_job
from ad_platform.store.tables import champions


class SqlChampions(contract.Champions):
    """Decisions in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def promote(self, champion: Champion) -> Champion:
        """Make a decision the one in force, if its revision is one more than the newest."""
        return self._db.write(lambda tx: _promote(tx, champion), Commit.PROMOTE)

    def current(self, model: str, alias: str) -> Champion | None:
        """Return the decision in force."""
        found = select(champions).where(champions.c.model == model, champions.c.alias == alias)
        newest = found.order_by(champions.c.revision.desc()).limit(1)
        row = self._db.read(lambda tx: tx.first(newest))
        return _champion(row) if row else None

    def history(self, model: str | None = None) -> list[Champion]:
        """Return all decisions, newest first."""
        found = select(champions).order_by(champions.c.seq.desc())
        if model is not None:
            found = found.where(champions.c.model == model)
        return [_champion(row) for row in self._db.read(lambda tx: tx.rows(found))]

    def in_force(self) -> list[Champion]:
        """Return the newest decision of each model and alias."""
        return self._newest()

    def unpublished(self) -> list[Champion]:
        """Return the decisions in force that the tracking server has not been told of."""
        return self._newest(champions.c.published.is_(None))

    def _newest(self, *kept: ColumnElement[bool]) -> list[Champion]:
        later = champions.alias("later")
        newest = select(func.max(later.c.revision)).where(
            later.c.model == champions.c.model,
            later.c.alias == champions.c.alias,
        )
        found = select(champions).where(champions.c.revision == newest.scalar_subquery(), *kept)
        return [_champion(row) for row in self._db.read(lambda tx: tx.rows(found.order_by(champions.c.seq)))]

    def published(self, champion: Champion, version: str) -> None:
        """Note which registry version a decision became."""
        this = (*_of(champion), champions.c.revision == champion.revision)
        told = update(champions).where(*this).values(published=version)
        self._db.write(lambda tx: tx.run(told), Commit.PUBLISHED)


def _promote(tx: Transaction, champion: Champion) -> Champion:
    job = get_job(tx, champion.job_id)
    if job.state is not JobState.SUCCEEDED:
        raise IllegalTransition(job.id, job.state, "promoted")
    refuse(tx, [job.id])
    newest = tx.run(select(func.max(champions.c.revision)).where(*_of(champion))).scalar_one() or 0
    row = None
    if champion.revision == newest + 1:
        values = {**asdict(champion), "evidence": dict(champion.evidence), "at": tx.now, "published": None}
        # Of two that saw the same newest revision, the unique constraint lets one through.
        fresh = tx.insert(champions).values(values).on_conflict_do_nothing()
        row = tx.first(fresh.returning(*champions.c))
    if row is None:
        raise ChampionChanged(
            f"{champion.model}@{champion.alias} is at revision {newest}, so {champion.revision}"
            " was decided on an older one: look again, then decide again"
        )
    return _champion(row)


def _of(champion: Champion) -> tuple[ColumnElement[bool], ...]:
    return (champions.c.model == champion.model, champions.c.alias == champion.alias)


def _champion(row: Row[tuple[object, ...]]) -> Champion:
    values = dict(row._mapping)
    del values["seq"]
    return Champion(**values)
