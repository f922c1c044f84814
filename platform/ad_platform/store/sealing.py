"""Seals a store in a file that moves elsewhere: whoever has it open, of whatever version, writes no more."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select, text

from ad_platform.errors import Conflict, StoreMoved
from ad_platform.failpoints import Commit
from ad_platform.states import JobState
from ad_platform.store.database import Database, Transaction
from ad_platform.store.tables import is_state, jobs

TABLE = "adctl_moved"
_TRIGGER = "adctl_moved_"
_WRITES = ("INSERT", "UPDATE", "DELETE")
_COLUMNS = ("state", "target", "store", "backup", "user", "at")


class SealState(StrEnum):
    """How far a store that is sealed has come."""

    MOVING = "moving"
    MOVED = "moved"


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What a sealed store says of itself."""

    state: SealState
    target: str  # the address of the other store, fit to be shown
    store: str  # the name that this store was given, which it has over there too
    backup: str  # the folder of the copy that was made first
    user: str
    at: str  # when, in words

    @property
    def words(self) -> str:
        """Say what became of the store and what to do."""
        if self.state is SealState.MOVING:
            return (
                f"this store is being moved to {self.target}; go on with: adctl migrate run, or leave it "
                "here after all: adctl migrate cancel"
            )
        return (
            f"this store was moved to {self.target} on {self.at} by {self.user}: set ADCTL_DATABASE_URL and "
            f"the others (client.env); or bring back what it was: adctl migrate restore {self.backup}"
        )


def seal_of(database: Database) -> Seal | None:
    """Return the seal of a store in a file, None where it has none or is no file."""
    return database.read(_seal) if database.in_file else None


def refuse_sealed(database: Database) -> None:
    """Raise StoreMoved for a store that is sealed."""
    seal = seal_of(database)
    if seal is not None:
        raise StoreMoved(f"{database.where}: {seal.words}")


def seal(database: Database, wanted: Seal) -> Seal:
    """Seal a store on which nothing runs, and return the seal: the one that is there, if there is one.

    Raises Conflict while a job runs; nothing is changed then.
    """
    return database.write(lambda tx: _set(tx, wanted), Commit.SEAL)


def mark_moved(database: Database) -> None:
    """Note that the store has moved."""
    done = text(f"UPDATE {TABLE} SET state = '{SealState.MOVED}'")  # noqa: S608
    database.write(lambda tx: tx.run(done), Commit.MOVED)


def unseal(database: Database) -> None:
    """Let a store be written to again; one that has no seal stays as it is."""
    database.write(_lift, Commit.UNSEAL)


def _seal(tx: Transaction) -> Seal | None:
    there = tx.first(text(f"SELECT 1 FROM sqlite_master WHERE name = '{TABLE}'"))  # noqa: S608
    row = tx.first(text(f"SELECT {', '.join(_quoted(_COLUMNS))} FROM {TABLE}")) if there else None  # noqa: S608
    if row is None:
        return None
    values = dict(row._mapping)
    return Seal(**{**values, "state": SealState(values["state"])})


def _set(tx: Transaction, wanted: Seal) -> Seal:
    known = _seal(tx)
    if known is not None:
        return known
    running = [row.id for row in tx.rows(select(jobs.c.id).where(is_state(JobState.RUNNING)).limit(3))]
    if running:
        raise Conflict(f"jobs run ({', '.join(running)}): have them given back first, by: adctl down")
    columns = ", ".join(f"{name} TEXT NOT NULL" for name in _quoted(_COLUMNS))
    tx.run(text(f"CREATE TABLE {TABLE} ({columns})"))
    places = ", ".join(f":{name}" for name in _COLUMNS)
    values = {name: str(getattr(wanted, name)) for name in _COLUMNS}
    tx.run(text(f"INSERT INTO {TABLE} VALUES ({places})").bindparams(**values))  # noqa: S608
    words = (
        f"this store moves to {wanted.target} and takes no writes any more; any new call of adctl says more"
    )
    said = words.replace("'", "''").replace(":", r"\:")  # a colon would begin a parameter
    # Whatever tables there are, that of the revision too: no other adctl may take the schema further.
    found = text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    for name in [row.name for row in tx.rows(found) if row.name != TABLE]:
        for write in _WRITES:
            tx.run(
                text(
                    f'CREATE TRIGGER {_TRIGGER}{name}_{write.lower()} BEFORE {write} ON "{name}" '
                    f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
                )
            )
    return wanted


def _lift(tx: Transaction) -> None:
    named = text(f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '{_TRIGGER}%'")  # noqa: S608
    for row in tx.rows(named):
        tx.run(text(f'DROP TRIGGER "{row.name}"'))
    tx.run(text(f"DROP TABLE IF EXISTS {TABLE}"))


def _quoted(names: tuple[str, ...]) -> list[str]:
    return [f'"{name}"' for name in names]
