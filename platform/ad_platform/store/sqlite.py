"""All that is only true of SQLite: one file, one writer at a time, and a driver that must be told so."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    QueuePool,
    Table,
    create_engine,
    event,
    literal_column,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DBAPIError

from ad_platform.errors import InvalidValue, StoreMismatch

BUSY_SECONDS = 15.0  # how long a writer waits for its turn


class SqliteBackend:
    """SQLite in a file, WAL, with immediate transactions for writers."""

    def __init__(self, url: URL, *, create: bool = False) -> None:
        if not url.database or url.database == ":memory:":
            raise InvalidValue("a store needs a file: sqlite:////folder/store.db")
        path = Path(url.database).absolute()
        self.file: Path | None = path
        self.where = str(path)
        self._create = create
        if not create and not path.exists():
            raise StoreMismatch(f"there is no store at {path}; make one: adctl db upgrade")

    def engine(self) -> Engine:
        """Return a new engine with its own pool."""
        engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_timeout=BUSY_SECONDS
        )
        event.listen(engine, "begin", _begin)
        return engine

    def clock(self) -> ColumnElement[float]:
        """Return the expression that reads the clock, to the millisecond."""
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)

    def writing(self, connection: Connection) -> Connection:
        """Return the connection prepared to take the write lock when it begins.

        One that reads first and writes later would fail, not wait, when another one wrote in between.
        """
        return connection.execution_options(adctl_begin="BEGIN IMMEDIATE")

    def lift_time_limits(self, connection: Connection) -> None:
        """Do nothing: a transaction may take as long as it likes."""

    def insert(self, table: Table) -> Insert:
        """Return an insert that can state what to do on conflict."""
        return insert(table)

    def deadlocked(self, error: DBAPIError) -> bool:
        """Say no: with one writer at a time there is no deadlock."""
        return False

    def forbidden(self, error: DBAPIError) -> bool:
        """Say no: a file has no accounts."""
        return False

    def unmigrated(self, error: DBAPIError) -> bool:
        """Say whether a table or column is missing."""
        said = str(error.orig)
        return any(sign in said for sign in ("no such table", "no such column", "has no column named"))

    def outgrown(self, error: DBAPIError) -> bool:
        """Say whether a column must have a value that this program does not know to give."""
        return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_NOTNULL"

    def _connect(self) -> sqlite3.Connection:
        mode = "rwc" if self._create else "rw"  # a mistyped path must not make an empty database
        connection = sqlite3.connect(
            f"file:{quote(self.where)}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # the driver would begin late and never immediately: `_begin` does it
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL, since an acknowledged submit must survive a power cut: one fsync per commit.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("adctl_begin", "BEGIN"))
