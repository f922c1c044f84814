"""Stores to measure: one with a past made up by dice, and an empty one beside it."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parts.crowd import Crowd
from parts.crowd_filling import fill
from sqlalchemy import text

import ad_migrations
from ad_platform.store.engine import backend_of


@dataclass(frozen=True, kw_only=True)
class Full:
    """A store, and the home from which commands reach it."""

    home: Path
    url: str
    jobs: int = 0
    words: str = ""  # which database it is in
    facts: tuple[str, ...] = ()  # how it was filled
    benchmark: str = ""  # the name of one of its benchmarks

    @property
    def name(self) -> str:
        """Return the database in a word."""
        return "SQLite" if self.url.startswith("sqlite") else "PostgreSQL"

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of a command that reaches it."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        return {**kept, "ADCTL_HOME": str(self.home), "ADCTL_DATABASE_URL": self.url, "ADCTL_USER": "user03"}


def filled(home: Path, url: str, jobs: int) -> Full:
    """Fill a store; says how long that took."""
    home.mkdir(parents=True)
    print(f"filling {url.partition(':')[0]} with {jobs:,} jobs", file=sys.stderr, flush=True)
    ad_migrations.upgrade(url)
    crowd = Crowd(jobs=jobs, now=time.time())
    seconds = fill(url, crowd)
    names, words = crowd.names["benchmark"], _words(url)
    facts = (
        f"{jobs:,} jobs ({len(crowd.names['group'])} sweeps, {len(names)} benchmarks), {_size(url):.1f} GB, "
        f"made in {seconds:.0f} s.",
    )
    return Full(home=home, url=url, jobs=jobs, words=words, facts=facts, benchmark=names[-1] if names else "")


def emptied(full: Full, folder: Path) -> Full:
    """Make a store without jobs, in the same kind of database."""
    home = folder / f"empty-{full.name.lower()}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    url = f"sqlite:///{home / 'store.db'}" if full.name == "SQLite" else _another_database(full.url)
    ad_migrations.upgrade(url)
    return Full(home=home, url=url)


@contextmanager
def postgres(*, durable: bool) -> Iterator[str]:
    """Run a PostgreSQL server of our own, and give the address of a database in it."""
    from services import postgres_server

    with postgres_server(durable=durable) as server:
        yield server.new_database()


def _another_database(url: str) -> str:
    import psycopg

    name = f"empty_{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{url.rpartition('/')[0]}/{name}"


def _words(url: str) -> str:
    if url.startswith("sqlite"):
        return f"SQLite {__import__('sqlite3').sqlite_version}, WAL, synchronous=FULL."
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    version, *others = (_asked(url, f"SHOW {name}") for name in names)
    told = ", ".join(f"{name}={value}" for name, value in zip(names[1:], others, strict=True))
    return f"PostgreSQL {version.split()[0]}, {told}."


def _size(url: str) -> float:
    file = backend_of(url).file
    size = file.stat().st_size if file else int(_asked(url, "SELECT pg_database_size(current_database())"))
    return size / 1e9


def _asked(url: str, statement: str) -> str:
    engine = backend_of(url).engine()
    with engine.connect() as connection:
        value = connection.execute(text(statement)).scalar_one()
    engine.dispose()
    return str(value)
