"""A move to a cluster that is killed at any edge is finished by the same call, or left be."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

import moving_home
import services
from ad_migrations import upgrade
from ad_migrations.moving import backup, running
from ad_migrations.moving.places import Target
from ad_platform import settings as environment
from ad_platform.errors import Conflict, StoreMoved
from ad_platform.failpoints import Commit, Edge
from ad_platform.specs import Submission
from ad_platform.storage.moving import hash_of
from ad_platform.store.engine import open_store
from ad_platform.sweeps.moving import kept
from mortal import KILLED, dying
from moving_home import MovingHome

pytestmark = [pytest.mark.redis, pytest.mark.postgres, pytest.mark.timeout(240)]
PARTS = 3  # files, sweeps and the store: MLflow's runs move in an acceptance test
BEFORE = (Commit.SEAL.before, Commit.SEAL.after, Edge.KEEP, Edge.KEPT, f"{Edge.PART}@1", f"{Edge.PARTED}@1")
BEFORE += (f"{Edge.CROSSING}@1", f"{Edge.PARTED}@2", f"{Edge.PART}@3", f"{Edge.CROSSING}@2")
AFTER = (f"{Edge.PARTED}@3", Commit.MOVED.before, Commit.MOVED.after)
EVERYDAY = (Commit.SEAL.after, f"{Edge.CROSSING}@2", f"{Edge.PARTED}@3")


@dataclass
class Way:
    """A home that moves, and where to."""

    home: MovingHome
    target: Target
    copy: Path
    before: dict[str, Any]

    def run(self) -> running.Report:
        """Move it, or go on."""
        return running.run(self.home.settings, self.target, self.copy, lambda words: None)

    def dies(self, trap: str) -> None:
        """Move it in a process that is killed at an edge."""
        assert dying(self.run, f"{trap}:kill") == KILLED

    def arrived(self) -> None:
        """Check that all is over there as it was here, and that here nobody goes on."""
        there = rows_of(self.target.settings.database_url)
        for name, rows in self.before["rows"].items():
            database, _, table = name.partition(".")
            if database == "store" and table not in ("workers", "adctl_version"):
                assert there[table] == rows, table
        root = Path(self.target.settings.storage_url)
        files = {name: mark for name, mark in self.before["files"].items() if name.startswith("storage/")}
        assert {
            f"storage/{path.relative_to(root)}": hash_of(path) for path in root.rglob("*") if path.is_file()
        } == files
        assert kept(self.target.settings) == kept(self.home.settings)
        assert backup.verify(self.copy).size > len(files)
        with pytest.raises(StoreMoved, match="was moved to"):
            open_store(self.home.settings.database_url)
        with open_there(self.target) as store:  # its counters go on where they were here
            job = store.jobs.get(there["jobs"][0][1])
            assert store.jobs.submit([Submission(spec=job.spec, user="ann")])[0].seq > len(there["jobs"])


def open_there(target: Target) -> Any:
    return closing(open_store(target.settings.database_url))


def rows_of(url: str) -> dict[str, list[Any]]:
    """Return the rows of each table of a database on PostgreSQL."""
    with psycopg.connect(url) as connection:
        named = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        names = [name for (name,) in connection.execute(named)]
        return {
            name: sorted(
                (tuple(map(plain, row)) for row in connection.execute(f'SELECT * FROM "{name}"')), key=repr
            )
            for name in names
        }


def plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


@pytest.fixture(scope="module")
def template() -> Iterator[MovingHome]:
    """Give a home that is copied for each test."""
    for part in ("optuna", "psycopg"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl-moves-", dir="/tmp"))
    yield moving_home.make(folder / "template", runs=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def databases(postgres: services.PostgresServer) -> Iterator[tuple[str, str]]:
    """Give a migrated store without rows, and a database of sweeps, to be copied."""
    store, sweeps = postgres.new_database(), postgres.new_database()
    upgrade(store)
    yield store, sweeps
    postgres.drop(store)
    postgres.drop(sweeps)


@pytest.fixture
def way(
    template: MovingHome,
    databases: tuple[str, str],
    postgres: services.PostgresServer,
    redis_url: str,
    tmp_path: Path,
) -> Iterator[Way]:
    home = MovingHome(tmp_path / "home")
    shutil.copytree(template.folder, home.folder)
    made = [postgres.new_database(each.rsplit("/", 1)[1]) for each in databases]
    told = {
        "ADCTL_HOME": str(home.folder),
        "ADCTL_DATABASE_URL": made[0],
        "ADCTL_OPTUNA_URL": made[1],
        "ADCTL_BROKER_URL": redis_url,
        "ADCTL_STORAGE_URL": str(tmp_path / "there"),
    }
    target = Target(settings=environment.load(told), mlflow_database="", named=tmp_path / "owner.env")
    before = {"rows": home.rows(), "files": home.files()}
    yield Way(home, target, tmp_path / "copy", before)
    for url in made:
        postgres.drop(url)


def cases(edges: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(str(edge), marks=() if edge in EVERYDAY else pytest.mark.slow, id=str(edge))
        for edge in edges
    ]


@pytest.mark.parametrize("edge", cases((*BEFORE, *AFTER)))
def test_a_move_killed_at_an_edge_is_finished_by_the_same_call(way: Way, edge: str) -> None:
    way.dies(edge)
    if edge != Commit.MOVED.after:
        report = way.run()
        assert len(report.parts) == (0 if edge in AFTER else PARTS)
    way.arrived()
    with pytest.raises(StoreMoved):
        way.run()


@pytest.mark.parametrize("edge", cases(BEFORE[1:]))
def test_a_move_killed_before_the_jobs_are_over_there_can_be_left_be(way: Way, edge: str) -> None:
    way.dies(edge)
    with pytest.raises(StoreMoved, match=r"migrate run.*migrate cancel"):
        open_store(way.home.settings.database_url)
    running.cancel(way.home.settings, way.target)
    assert (way.home.rows(), way.home.files()) == (way.before["rows"], way.before["files"])
    assert rows_of(way.target.settings.database_url).get("jobs", []) == []
    with closing(open_store(way.home.settings.database_url)) as store:
        job = store.jobs.search(limit=1)[0]
        store.jobs.submit([Submission(spec=job.spec, user="ann")])


def test_what_is_over_there_is_not_left_be(way: Way) -> None:
    way.dies(f"{Edge.PARTED}@3")
    with pytest.raises(Conflict, match="the jobs are in postgresql://"):
        running.cancel(way.home.settings, way.target)
    way.run()
    way.arrived()


@pytest.mark.parametrize("edge", [Edge.BRING, Edge.BROUGHT])
def test_a_home_is_brought_back_though_whoever_does_it_dies(way: Way, edge: str) -> None:
    way.run()
    shutil.rmtree(way.home.folder / "storage")
    with closing(sqlite3.connect(way.home.folder / "store.db")) as connection:
        connection.execute("PRAGMA writable_schema = ON")

    def restore() -> None:
        running.restore(way.home.folder, way.copy, way.home.settings, lambda words: None)

    assert dying(restore, f"{edge}:kill") == KILLED
    restore()
    assert (way.home.rows(), way.home.files()) == (way.before["rows"], way.before["files"])
    with closing(open_store(way.home.settings.database_url)) as store:
        queued = store.jobs.search(limit=1)[0]
        store.jobs.submit([Submission(spec=queued.spec, user="ann")])


def test_nobody_who_has_the_store_open_writes_once_it_moves(way: Way) -> None:
    with closing(open_store(way.home.settings.database_url)) as early:
        job = early.jobs.search(limit=1)[0]
        way.dies(Edge.KEEP)
        for write in (
            lambda: early.jobs.submit([Submission(spec=job.spec, user="ann")]),
            lambda: early.jobs.cancel(early.jobs.search(limit=1)[0].id),
        ):
            with pytest.raises(StoreMoved, match="takes no writes any more"):
                write()
        way.run()
    way.arrived()
