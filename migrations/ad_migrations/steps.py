"""Taking the store up or down to a revision; several processes may try at once."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ad_platform.errors import InvalidValue, StoreDown, StoreMismatch
from ad_platform.store.database import Backend, Database, explained
from ad_platform.store.engine import backend_of
from ad_platform.store.revision import (
    READABLE_FROM,
    VERSION_TABLE,
    check_revision,
    oldest_for,
    said_by,
    saying,
)
from ad_platform.store.sealing import refuse_sealed

_LOCK = 0x61646374  # any number that nobody else takes as an advisory lock: "adct"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the store to a revision, making it first if there is none; does nothing if it is there already.

    Raises StoreDown when the database does not answer, StoreMismatch when it is newer than this program,
    StoreMoved when it went elsewhere.
    """
    _refuse_sealed(url)
    with alone(url, create=True) as connection:
        try:
            command.upgrade(_config(connection), revision)
        except CommandError as error:
            raise _unknown_revision(connection, revision, error) from error
        note_readers(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the store back to an older revision, or to nothing with `base`; what no longer fits is lost."""
    with alone(url) as connection:
        try:
            command.downgrade(_config(connection), revision)
        except CommandError as error:
            raise _unknown_revision(connection, revision, error) from error
        note_readers(connection)


def revision_of(url: str) -> str | None:
    """Return the revision of a store, or None where there is none."""
    backend = backend_of(url, create=True)
    if backend.file is not None and not backend.file.exists():
        return None
    engine = backend.engine()
    try:
        with _answering(engine, backend.where) as connection:
            return _found(connection)
    finally:
        engine.dispose()


def head() -> str:
    """Return the newest revision that this program knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def check(url: str) -> str:
    """Return the revision of a store that this program may work with; raise StoreMismatch otherwise."""
    found = revision_of(url)
    check_revision(found, backend_of(url, create=True).where, readers_of(url))
    assert found is not None
    return found


def readers_of(url: str) -> str | None:
    """Return the oldest program that may work with a store, None where it does not say so."""
    backend = backend_of(url, create=True)
    if backend.file is not None and not backend.file.exists():
        return None
    engine = backend.engine()
    try:
        with _answering(engine, backend.where) as connection:
            if not _says_readers(connection):
                return None
            return said_by(_said(connection), _found(connection))
    finally:
        engine.dispose()


def note_readers(connection: Connection, oldest: str | None = None) -> None:
    """Have the store say which programs may work with it: by its revision, unless somebody knows better.

    In a column of Alembic's own table, which no migration brings: it says who may read the migrations' work.
    """
    found = _found(connection)
    if found is None:
        return
    says = saying(oldest or oldest_for(found), found)
    if not _says_readers(connection):
        connection.execute(text(f"ALTER TABLE {VERSION_TABLE} ADD COLUMN {READABLE_FROM} VARCHAR(32)"))
    elif _said(connection) == says:
        return  # what is up to date can be upgraded by an account that may not write
    connection.execute(
        text(f"UPDATE {VERSION_TABLE} SET {READABLE_FROM} = :oldest"),  # noqa: S608
        {"oldest": says},
    )


def _said(connection: Connection) -> str | None:
    found = connection.execute(text(f"SELECT {READABLE_FROM} FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def _says_readers(connection: Connection) -> bool:
    look = inspect(connection)
    if not look.has_table(VERSION_TABLE):
        return False
    return READABLE_FROM in {column["name"] for column in look.get_columns(VERSION_TABLE)}


def _refuse_sealed(url: str) -> None:
    backend = backend_of(url, create=True)
    if backend.file is None or not backend.file.exists():
        return
    database = Database(backend)
    try:
        refuse_sealed(database)
    finally:
        database.close()


def _config(connection: Connection | None = None) -> Config:
    # What Alembic has to say goes nowhere: the caller prints its own words.
    config = Config(stdout=io.StringIO(), output_buffer=io.StringIO())
    # As a package, not as a path: found in an installed wheel too, whatever signs the path holds.
    config.set_main_option("script_location", "ad_migrations:")
    config.attributes["connection"] = connection
    return config


@contextmanager
def alone(url: str, *, create: bool = False) -> Iterator[Connection]:
    """Yield a connection in a transaction, while no other process migrates the same store."""
    backend = backend_of(url, create=create)
    if backend.file is not None:
        if create:
            _make_folder(backend.file.parent)
        with FileLock(f"{backend.file}.migrate.lock"), _connected(backend) as connection:
            yield connection
        return
    with _connected(backend) as connection:
        # Held until the transaction ends, so the next one finds everything done.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield connection


@contextmanager
def _connected(backend: Backend) -> Iterator[Connection]:
    engine = backend.engine()
    try:
        with _answering(engine, backend.where) as plain:
            connection = backend.writing(_without_references(plain))
            with connection.begin():
                backend.lift_time_limits(connection)
                yield connection
                _check_references(connection)
    finally:
        engine.dispose()


def _without_references(connection: Connection) -> Connection:
    """Let SQLite make a table anew that others refer to; it heeds this only outside a transaction."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.cursor().execute("PRAGMA foreign_keys = OFF")
    return connection


def _check_references(connection: Connection) -> None:
    """Undo a migration after which a row refers to one that is not there."""
    if connection.dialect.name == "sqlite":
        lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        assert lost is None, f"a migration left {lost[0]} referring to nothing in {lost[2]}"


@contextmanager
def _answering(engine: Engine, where: str) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        told = explained(error, where)
        if told is error:
            raise
        raise told from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreDown(f"cannot make the store's folder {folder}: {error.strerror}") from error


def _found(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _unknown_revision(connection: Connection, wanted: str, error: CommandError) -> Exception:
    found = _found(connection)
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    if found is not None and found not in known:
        return StoreMismatch(f"the store has schema {found}, newer than this program knows: upgrade adctl")
    return InvalidValue(f"no way to revision '{wanted}': {error}; there are: {', '.join(sorted(known))}")
