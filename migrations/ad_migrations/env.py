"""What Alembic runs for every command: which tables, which connection, which version table."""

from alembic import context
from sqlalchemy import Connection

from ad_platform import settings
from ad_platform.store.engine import backend_of
from ad_platform.store.revision import VERSION_TABLE
from ad_platform.store.tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        # SQLite cannot alter a table in place: Alembic makes a new one and copies.
        render_as_batch=connection.dialect.name == "sqlite",
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    # A developer's `alembic` on the command line: the store that the environment names.
    backend = backend_of(settings.load().database_url, create=True)
    engine = backend.engine()
    with engine.connect() as plain:
        connection = backend.writing(plain)
        with connection.begin():
            backend.lift_time_limits(connection)
            _migrate(connection)
    engine.dispose()


_run()
