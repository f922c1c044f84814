"""Copies the rows of one database into the tables of another, as they are, and adds up what both hold.

Whoever made the tables (this program, Optuna, MLflow) has made them on both sides, at the same schema: no
table is made here. All is done in the one transaction that the caller opens on the target.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, delete, insert, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ad_platform.errors import InvalidData, StoreDown, StoreMismatch
from ad_platform.store.database import explained
from ad_platform.store.engine import backend_of

BATCH = 500
Rewrite = Callable[[str, dict[str, Any]], dict[str, Any]]  # (table, row) -> the row as it is to be
_ALL = 1 << 256


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What a table holds: rows, and the sum of their hashes, in whatever order they lie."""

    rows: int = 0
    total: int = 0

    @property
    def short(self) -> str:
        """Return the first digits of the sum."""
        return f"{self.total:064x}"[:12]


def as_it_is(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row unchanged."""
    return row


@contextmanager
def opened(url: str, *, write: bool = False) -> Iterator[tuple[Connection, MetaData]]:
    """Yield a connection in a transaction, undone if anything is raised, and the tables that are there."""
    backend = backend_of(url)
    engine = backend.engine()
    try:
        with engine.connect() as plain:
            connection = backend.writing(plain) if write else plain
            with connection.begin():
                backend.lift_time_limits(connection)
                found = MetaData()
                found.reflect(connection)
                yield connection, found
    except (DataError, IntegrityError) as error:
        raise InvalidData(f"{backend.where} does not take a row: {_line(error)}") from error
    except DBAPIError as error:
        told = explained(error, backend.where)
        raise (StoreDown(f"{backend.where} refuses: {_line(error)}") if told is error else told) from error
    finally:
        engine.dispose()


def check_alike(source: MetaData, target: MetaData, skip: Collection[str], what: str) -> None:
    """Raise StoreMismatch unless both have the same tables and columns."""
    for name, table in source.tables.items():
        if name in skip:
            continue
        other = target.tables.get(name)
        if other is None:
            raise StoreMismatch(
                f"{what} of the target has no table {name}: run the same release on both sides"
            )
        if {*table.columns.keys()} != {*other.columns.keys()}:
            raise StoreMismatch(
                f"{what} of the target has other columns in {name}: run the same release on both sides"
            )


def copy(
    source: Connection,
    target: Connection,
    tables: Sequence[tuple[Table, Table]],
    rewrite: Rewrite = as_it_is,
    spare: Collection[str] = (),
) -> int:
    """Add the rows of the first of each pair to the second, and return how many; `spare` keeps what is there.

    Tables that others refer to must come first. Rows of one table go in the order of their keys, so that one
    which refers to an earlier one finds it.
    """
    return sum(_copy_one(source, target, pair, rewrite, pair[0].name in spare) for pair in tables)


def _copy_one(
    source: Connection, target: Connection, pair: tuple[Table, Table], rewrite: Rewrite, spare: bool
) -> int:
    old, new = pair
    plain = [column.name for column in new.columns if column.computed is None]
    known = _keys(target, new) if spare else set()
    done = 0
    for rows in _batches(source, old):
        made = [rewrite(old.name, row) for row in rows]
        wanted = [{name: row[name] for name in plain} for row in made if _key(new, row) not in known]
        if wanted:
            target.execute(insert(new), wanted)
        done += len(wanted)
    return done


def clear(target: Connection, tables: Sequence[Table]) -> None:
    """Remove all rows of tables, those first that refer to others."""
    for table in reversed(tables):
        target.execute(delete(table))


def in_order(metadata: MetaData, skip: Collection[str]) -> list[Table]:
    """Return the tables, those first that others refer to."""
    return [table for table in metadata.sorted_tables if table.name not in skip]


def sum_of(connection: Connection, table: Table, rewrite: Rewrite = as_it_is) -> Sum:
    """Return what a table holds."""
    rows, total = 0, 0
    names = sorted(table.columns.keys())
    for batch in _batches(connection, table):
        for row in batch:
            total += _hash(rewrite(table.name, row), names)
            rows += 1
    return Sum(rows=rows, total=total % _ALL)


def missing_from(
    source: Connection, target: Connection, pair: tuple[Table, Table], rewrite: Rewrite = as_it_is
) -> list[tuple[Any, ...]]:
    """Return the keys of rows of the source that the target lacks."""
    known = _keys(target, pair[1])
    return [
        key
        for batch in _batches(source, pair[0])
        for row in batch
        if (key := _key(pair[0], rewrite(pair[0].name, row))) not in known
    ]


def count_on(source: Connection, target: Connection, pairs: Sequence[tuple[Table, Table]]) -> None:
    """Let PostgreSQL's counters go on where SQLite's are: a number that was used is never used again."""
    if target.dialect.name != "postgresql":
        return
    used = _counters(source)
    for old, new in pairs:
        for column in new.primary_key:
            sequence = target.execute(
                text("SELECT pg_get_serial_sequence(:table, :column)"),
                {"table": f'"{new.name}"', "column": column.name},
            ).scalar_one()
            if sequence is None:
                continue
            highest = target.execute(select(column).order_by(column.desc()).limit(1)).scalar()
            last = max(int(highest or 0), used.get(old.name, 0))
            target.execute(
                text("SELECT setval(CAST(:sequence AS regclass), :next, false)"),
                {"sequence": sequence, "next": last + 1},
            )


def _counters(source: Connection) -> dict[str, int]:
    """Return the highest number that SQLite has ever given in each table that never gives one twice."""
    there = source.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")).first()
    if there is None:
        return {}
    return {row.name: int(row.seq) for row in source.execute(text("SELECT name, seq FROM sqlite_sequence"))}


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    keys: Sequence[Column[Any]] = list(table.primary_key.columns) or list(table.columns)
    wanted = select(table).order_by(*keys).execution_options(yield_per=BATCH)
    with connection.execute(wanted) as found:  # a cursor on the server, closed whatever happens
        for part in found.mappings().partitions(BATCH):
            yield [dict(row) for row in part]


def _keys(connection: Connection, table: Table) -> set[tuple[Any, ...]]:
    keys = list(table.primary_key.columns) or list(table.columns)
    return {tuple(row) for row in connection.execute(select(*keys))}


def _key(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = list(table.primary_key.columns) or list(table.columns)
    return tuple(row[column.name] for column in keys)


def _hash(row: Mapping[str, Any], names: Sequence[str]) -> int:
    plain = "\x1f".join(f"{name}={_plain(row[name])}" for name in names)
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest())


def _plain(value: Any) -> str:
    """Return a value as text that does not depend on the database it was read from."""
    match value:
        case None:
            return "-"
        case bool():
            return f"n{int(value)}"
        case float() | Decimal():
            number = float(value)
            return f"n{int(number)}" if number.is_integer() else f"n{number!r}"
        case int():
            return f"n{value}"
        case datetime() | date():
            return f"t{value.isoformat()}"
        case bytes() | memoryview():
            return f"b{bytes(value).hex()}"
        case dict() | list():
            return f"j{json.dumps(value, sort_keys=True)}"
    return f"s{value}"


def _line(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())[:300]
