"""One transaction at a time on the store's database: begin, translate errors, try again after a deadlock."""

import os
import shutil
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, CursorResult, Engine, Executable, Row, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.pool import Pool

from ad_platform.errors import DiskFull, Forbidden, StoreDamaged, StoreDown, StoreMismatch, StoreMoved
from ad_platform.failpoints import Commit, reach

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

Clock = Callable[[], ColumnElement[float]]  # seconds since the epoch, read inside the statement
T = TypeVar("T")
S = TypeVar("S", bound=Executable)

_CROWDED = 1 << 20  # bytes left, too few for SQLite's own files
_STATEMENTS = 256  # statements that are dear to build, at most
_TRIES = 5  # against deadlocks, which PostgreSQL ends by failing one side


class Backend(Protocol):
    """All that differs between SQLite and PostgreSQL."""

    where: str  # the address, fit to be shown
    file: Path | None  # where the database is one file

    def engine(self) -> Engine:
        """Return a new engine with its own pool."""

    def clock(self) -> ColumnElement[float]:
        """Return the expression that reads the database's clock."""

    def writing(self, connection: Connection) -> Connection:
        """Return the connection prepared so that its next transaction may write."""

    def lift_time_limits(self, connection: Connection) -> None:
        """Let the transaction that is under way take as long as moving or changing a whole database does."""

    def insert(self, table: Table) -> "SqliteInsert | PostgresInsert":
        """Return an insert that can state what to do on conflict."""

    def deadlocked(self, error: DBAPIError) -> bool:
        """Say whether the transaction was undone only because it met another one."""

    def forbidden(self, error: DBAPIError) -> bool:
        """Say whether the account may not do this."""

    def unmigrated(self, error: DBAPIError) -> bool:
        """Say whether a table or column is missing."""

    def outgrown(self, error: DBAPIError) -> bool:
        """Say whether a column must have a value that this program does not know to give."""


class Transaction:
    """What a method of the store does its work with."""

    def __init__(
        self,
        connection: Connection,
        backend: Backend,
        clock: Clock,
        statements: dict[Hashable, Executable] | None,
    ) -> None:
        self._connection, self._backend, self._clock = connection, backend, clock
        self._statements = statements

    @property
    def now(self) -> ColumnElement[float]:
        """Return the clock as an expression, to be read when the statement runs."""
        return self._clock()

    def built(self, key: Hashable, build: Callable[[], S]) -> S:
        """Return a statement that is dear to build, from the last time if it has been built with this key.

        It may hold the clock, but of what differs between two runs with one key only bound parameters.
        """
        if self._statements is None:
            return build()
        found = self._statements.get(key)
        if found is None:
            if len(self._statements) >= _STATEMENTS:
                self._statements.clear()
            found = self._statements[key] = build()
        return cast("S", found)

    def insert(self, table: Table) -> "SqliteInsert | PostgresInsert":
        """Return an insert that can state what to do on conflict."""
        return self._backend.insert(table)

    def run(
        self, statement: Executable, rows: Sequence[dict[str, object]] | None = None
    ) -> CursorResult[Any]:
        """Execute one statement; with rows, once for each."""
        result = self._connection.execute(statement, rows)
        assert isinstance(result, CursorResult)
        return result

    def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Return all rows of a statement."""
        return self.run(statement).all()

    def first(self, statement: Executable, bound: dict[str, object] | None = None) -> Row[Any] | None:
        """Return the first row of a statement, or None; `bound` are its parameters, by name."""
        return self.run(statement, None if bound is None else [bound]).first()


class Database:
    """Runs pieces of work, each in one transaction; safe in many threads and after a fork."""

    def __init__(self, backend: Backend, clock: Clock | None = None) -> None:
        self._backend = backend
        self._clock = clock or backend.clock
        self._engine = backend.engine()
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._inherited: list[Pool] = []
        # A clock of a test's own is a number, which must not be kept in a statement.
        self._statements: dict[Hashable, Executable] | None = {} if clock is None else None

    @property
    def where(self) -> str:
        """Return the database's address without its password."""
        return self._backend.where

    @property
    def in_file(self) -> bool:
        """Say whether the database is one file."""
        return self._backend.file is not None

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run work that changes nothing, on one consistent view per statement."""
        return self._run(work, write=False)

    def write(
        self,
        work: Callable[[Transaction], T],
        edge: Commit | None = None,
        wrote: Callable[[T], bool] = lambda done: True,
    ) -> T:
        """Run work that may write; it is run again from the start after a deadlock.

        Before and after the commit an edge is reached, unless `wrote` says of the result that nothing was.
        """
        if edge is None:
            return self._run(work, write=True)

        def until_the_commit(tx: Transaction) -> T:
            done = work(tx)
            if wrote(done):
                reach(edge.before)
            return done

        done = self._run(until_the_commit, write=True)
        if wrote(done):
            reach(edge.after)
        return done

    def close(self) -> None:
        """Close every connection."""
        self._own().dispose()

    def _run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return self._once(work, write=write)
            except DBAPIError as error:
                if not (left and self._backend.deadlocked(error)):
                    raise self._explain(error) from error
            except NoFreeConnection as error:
                raise StoreDown(f"the store {self.where} gave no connection in time; try again") from error
        raise AssertionError("unreachable")

    def _once(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        with self._own().connect() as plain:
            connection = self._backend.writing(plain) if write else plain
            with connection.begin():
                return work(Transaction(connection, self._backend, self._clock, self._statements))

    def _own(self) -> Engine:
        """Return the engine, with a pool of this process's own."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    # Kept, not closed: closing would say goodbye on the parent's sockets.
                    self._inherited.append(self._engine.pool)
                    self._engine.dispose(close=False)
                    self._pid = os.getpid()
        return self._engine

    def _explain(self, error: DBAPIError) -> Exception:
        if self._backend.unmigrated(error):
            return StoreMismatch(
                f"the store {self.where} lacks a table or column: adctl db upgrade, or upgrade adctl"
            )
        if self._backend.outgrown(error):
            return StoreMismatch(f"the store {self.where} asks for more than this adctl knows: upgrade adctl")
        if self._backend.forbidden(error):
            return Forbidden(
                f"the account of {self.where} may not do this ({_line(error)}); a client asks for work, a "
                "worker does it and keeps house: use the other's ADCTL_DATABASE_URL, or: adctl db grant"
            )
        return explained(error, self.where)


def explained(error: DBAPIError, where: str) -> Exception:
    """Return what a person can act on: the store is away, damaged or out of room; else the error itself."""
    code = getattr(error.orig, "sqlite_errorname", "")
    if code == "SQLITE_CONSTRAINT_TRIGGER":  # the only triggers are those of a seal, and they say what to do
        return StoreMoved(_line(error))
    if not _away(error):
        return error
    reason = _line(error)
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return StoreDamaged(
            f"the store {where} is damaged: {reason}; put a copy back, or move it away and: adctl db upgrade"
        )
    if code.startswith("SQLITE_FULL") or (code.startswith("SQLITE_IOERR") and _crowded(where)):
        return DiskFull(f"no room for the store {where}: free some disk space, then try again")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreDown(f"the store {where} cannot be opened: {reason}; look at whose files these are")
    return StoreDown(f"the store {where} does not answer: {reason}")


def _line(error: DBAPIError) -> str:
    return (" ".join(str(error.orig).split()) or type(error.orig).__name__)[:300]


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Turn what another library says of a database into what a person can act on."""
    try:
        yield
    except DBAPIError as error:
        raise explained(error, where) from error


def _crowded(where: str) -> bool:
    """Say whether the disk of a file is full: SQLite calls some of what follows a read or write error."""
    try:
        return shutil.disk_usage(Path(where).parent).free < _CROWDED
    except OSError:
        return False


def _away(error: DBAPIError) -> bool:
    # By name: these five belong to every DB-API driver, and only one driver may be installed.
    kinds = {kind.__name__ for kind in type(error.orig).__mro__}
    if kinds & {"IntegrityError", "ProgrammingError", "DataError", "NotSupportedError"}:
        return False
    return bool(kinds & {"OperationalError", "InterfaceError", "InternalError", "DatabaseError"})
