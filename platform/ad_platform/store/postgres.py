"""All that is only true of PostgreSQL: its driver, its clock, its error codes, its time limits."""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, ColumnElement, Connection, Double, Engine, Table, create_engine, literal_column
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError

from ad_platform.errors import InvalidValue, MissingExtra
from ad_platform.store.tables import metadata

# A dead network must become StoreDown within seconds, not minutes; what the URL itself asks for wins.
_PATIENCE = {
    "connect_timeout": "5",
    "application_name": "adctl",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # Who stops within a transaction, as a suspended machine does, loses it before others give up waiting.
    # No just-in-time compilation: it takes seconds over a statement that then runs for a millisecond.
    "options": "-c lock_timeout=15s -c statement_timeout=60s -c idle_in_transaction_session_timeout=10s"
    " -c jit=off",
}

# Indexes on a part of a table cover the same part here. Said by the tables, it would load this dialect for
# a store on SQLite too.
for _table in metadata.tables.values():
    for _index in _table.indexes:
        _part = _index.dialect_options["sqlite"]["where"]
        if _part is not None:
            _index.dialect_kwargs["postgresql_where"] = _part


def _threshold(text: str | tuple[str, ...]) -> int | None:
    """Read after how many times a statement is prepared; "none" never: a pooler may not know of it."""
    if text == "none":
        return None
    if isinstance(text, str) and text.isdigit():
        return int(text)
    raise InvalidValue("prepare_threshold in ADCTL_DATABASE_URL is a number of times, or none")


class PostgresBackend:
    """PostgreSQL through psycopg 3, read committed, with row locks."""

    def __init__(self, url: URL) -> None:
        if find_spec("psycopg") is None:
            raise MissingExtra("a store on PostgreSQL", "postgres")
        self.file: Path | None = None
        self.where = url.render_as_string(hide_password=True)
        query = {**_PATIENCE, **url.query}
        # psycopg takes it as an argument only, and SQLAlchemy would hand it on as a text.
        self._threshold = _threshold(query.pop("prepare_threshold", "5"))
        self._url = url.set(drivername="postgresql+psycopg", query=query)

    def engine(self) -> Engine:
        """Return a new engine with its own pool, which notices connections that a server restart cut."""
        return create_engine(
            self._url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_timeout=15,
            connect_args={"prepare_threshold": self._threshold},
        )

    def clock(self) -> ColumnElement[float]:
        """Return the expression that reads the clock; now() would stand still at the transaction's start."""
        return literal_column("extract(epoch from clock_timestamp())::double precision", Double)

    def writing(self, connection: Connection) -> Connection:
        """Return the connection as it is: row locks do the rest."""
        return connection

    def lift_time_limits(self, connection: Connection) -> None:
        """Lift the limits of a transaction for the one that is under way; a lock is not waited for longer."""
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")

    def insert(self, table: Table) -> Insert:
        """Return an insert that can state what to do on conflict."""
        return insert(table)

    def deadlocked(self, error: DBAPIError) -> bool:
        """Say whether the transaction was undone only because it met another one."""
        return getattr(error.orig, "sqlstate", None) in {"40P01", "40001"}

    def forbidden(self, error: DBAPIError) -> bool:
        """Say whether the account may not do this."""
        return getattr(error.orig, "sqlstate", None) == "42501"

    def unmigrated(self, error: DBAPIError) -> bool:
        """Say whether a table or column is missing."""
        return getattr(error.orig, "sqlstate", None) in {"42P01", "42703"}

    def outgrown(self, error: DBAPIError) -> bool:
        """Say whether a column must have a value that this program does not know to give."""
        return getattr(error.orig, "sqlstate", None) == "23502"
