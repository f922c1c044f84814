"""Writes a made-up past into a store: past the store's own methods, since those would take hours."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parts.crowd import Crowd, Row

from ad_platform.store.engine import backend_of
from ad_platform.store.tables import metadata

ORDER = [table.name for table in metadata.sorted_tables]
Write = Callable[[str, Sequence[str], Sequence[Row]], None]


def fill(url: str, crowd: Crowd) -> float:
    """Write all that a crowd has done into a migrated, empty store; return the seconds it took."""
    began = time.monotonic()
    if url.startswith("sqlite"):
        _fill_file(url, crowd)
    else:
        _fill_server(url, crowd)
    return time.monotonic() - began


def _pour(chunk: Mapping[str, Sequence[Row]], write: Write) -> None:
    for name in ORDER:
        if rows := chunk.get(name):
            write(name, list(rows[0]), rows)


def _fill_file(url: str, crowd: Crowd) -> None:
    backend = backend_of(url)
    assert backend.file is not None
    connection = sqlite3.connect(backend.file, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")

    def write(name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        named = ", ".join(f'"{column}"' for column in columns)
        marks = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{name}" ({named}) VALUES ({marks})'
        connection.executemany(statement, [tuple(row.values()) for row in rows])

    for chunk in crowd.chunks():
        connection.execute("BEGIN")
        _pour(chunk, write)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _fill_server(url: str, crowd: Crowd) -> None:
    import psycopg

    with psycopg.connect(url) as connection:

        def write(name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
            named = ", ".join(f'"{column}"' for column in columns)
            with connection.cursor().copy(f'COPY "{name}" ({named}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(tuple(row.values()))

        for chunk in crowd.chunks():
            _pour(chunk, write)
            connection.commit()
        _count_on(connection)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # as autovacuum does after a while


def _count_on(connection: Any) -> None:
    """Let the sequences go on where the rows end."""
    for table in ("jobs", "events"):
        newest = f'(SELECT max(seq) FROM "{table}")'
        connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'seq'), {newest})")
    connection.commit()
