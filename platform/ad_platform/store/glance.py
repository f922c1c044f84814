"""Names out of a store's SQLite file, read in milliseconds, without SQLAlchemy, for who is still typing.

Read-only, and never waiting: a store that is busy, missing or of another schema gives less, or nothing.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ad_platform.specs import Json

NEWEST = 50  # jobs that are named
SCHEME = "sqlite:///"
# One step of an index for each value, where DISTINCT would read them all.
_DIFFERENT = (
    "WITH RECURSIVE each(one) AS (SELECT min({0}) FROM facets UNION ALL "
    "SELECT (SELECT min({0}) FROM facets WHERE {0} > one) FROM each WHERE one IS NOT NULL) "
    "SELECT one FROM each WHERE one IS NOT NULL"
)


@dataclass(frozen=True)
class Named:
    """A name that can be typed, and a few words on what it stands for."""

    name: str
    words: str = ""


class Glance:
    """A look into one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def jobs(self, start: str = "") -> list[Named]:
        """Return the ids of the newest jobs that begin with a text, newest first.

        Of trials, which are many, only those that a text was given for.
        """
        return [
            Named(row[0], f"{row[1]} {row[2]} {row[3]} {row[4]}".rstrip())
            for row in self._rows(
                "SELECT id, kind, detector, state, name FROM jobs WHERE id >= ? AND id < ? AND "
                "(? != '' OR kind != 'trial') ORDER BY seq DESC LIMIT ?",
                (start.lower(), start.lower() + "g", start, NEWEST),
            )
        ]

    def sweeps(self) -> list[Named]:
        """Return the names of the newest sweeps, newest first."""
        rows = self._rows(
            "SELECT name, state, wanted FROM studies ORDER BY created_at DESC, name LIMIT ?", (NEWEST,)
        )
        return [Named(row[0], f"sweep {row[1]}, {row[2]} trials") for row in rows]

    def benchmarks(self) -> list[Named]:
        """Return the names of the newest benchmarks, newest first."""
        rows = self._rows(
            "SELECT name, finished_at IS NULL FROM benchmarks ORDER BY created_at DESC, name LIMIT ?",
            (NEWEST,),
        )
        return [Named(row[0], f"benchmark {'at work' if row[1] else 'ended'}") for row in rows]

    def detector_of(self, start: str) -> str:
        """Return the detector of the newest job whose id begins with a text, "" where there is none."""
        rows = self._rows(
            "SELECT detector FROM jobs WHERE id >= ? AND id < ? ORDER BY seq DESC LIMIT 1",
            (start, start + "g"),
        )
        return str(rows[0][0]) if rows else ""

    def categories(self) -> list[tuple[str, str]]:
        """Return the datasets and categories that lie on some node."""
        rows = self._rows("SELECT DISTINCT dataset, category FROM holdings WHERE dataset != '' ORDER BY 1, 2")
        return [(str(row[0]), str(row[1])) for row in rows]

    def workers(self) -> list[Named]:
        """Return the workers that are not gone."""
        rows = self._rows("SELECT id, node, state FROM workers WHERE state != 'gone' ORDER BY seen_at DESC")
        return [Named(row[0], f"{row[2]} on {row[1]}") for row in rows]

    def queues(self) -> list[str]:
        """Return the queue labels that workers serve or jobs wait in."""
        served = [label for row in self._rows("SELECT queues FROM workers") for label in _texts(row[0])]
        asked = [str(row[0]) for row in self._rows(_DIFFERENT.format("queue"))]
        return sorted({"default", *served, *asked})

    def users(self) -> list[str]:
        """Return who has submitted jobs."""
        return [str(row[0]) for row in self._rows(_DIFFERENT.format('"user"'))]

    def models(self) -> list[Named]:
        """Return what carries an alias, as model@alias."""
        rows = self._rows(
            "SELECT model, alias, job_id, max(revision) FROM champions GROUP BY model, alias ORDER BY 1, 2"
        )
        return [Named(f"{row[0]}@{row[1]}", f"job {row[2]}") for row in rows]

    def catalogue(self) -> dict[str, Json]:
        """Return what workers have published of their detectors."""
        return {str(row[0]): json.loads(row[1]) for row in self._rows("SELECT name, entry FROM catalogue")}

    def _rows(self, statement: str, values: tuple[str | int, ...] = ()) -> list[tuple[str, ...]]:
        try:
            with self._open() as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error:
            return []

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        address = f"file:{quote(str(self._file))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=0.05)
        try:
            yield connection
        finally:
            connection.close()


def glance(database_url: str) -> Glance | None:
    """Return a look into the store at an address, or None where that is no file."""
    scheme, _, path = database_url.partition(SCHEME)
    if scheme or not path:
        return None
    return Glance(Path(urlsplit(path).path))


def _texts(value: str) -> list[str]:
    found: object = json.loads(value)
    return [str(one) for one in found] if isinstance(found, list) else []


def fields_of(entry: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """Return the settings of a published detector by name, each with its JSON Schema as far as it is one."""
    schema = entry.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: value for name, value in properties.items() if isinstance(value, dict)}
