"""Looks at both sides before anything moves: what stands in the way is said here, and nothing is changed."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from ad_migrations import steps
from ad_migrations.moving import backup, parts, rows
from ad_migrations.moving.places import Target
from ad_platform.addresses import shown
from ad_platform.doctor.findings import Finding, ok, problem, warning
from ad_platform.errors import (
    AdctlError,
    Conflict,
    DiskFull,
    Forbidden,
    InvalidRequest,
    StoreMismatch,
    StoreMoved,
)
from ad_platform.settings import Settings
from ad_platform.stack import leftovers, lifecycle
from ad_platform.states import JobState
from ad_platform.storage import moving as files
from ad_platform.storage.leftovers import local_root
from ad_platform.store.database import Database
from ad_platform.store.engine import SqlStore, backend_of, open_store
from ad_platform.store.revision import HEAD
from ad_platform.store.sealing import SealState, seal_of
from ad_platform.sweeps import moving as sweeps
from ad_platform.tracking import moving as runs

SPARE = 1.05  # of the room that files take
OPEN = (JobState.WAITING, JobState.QUEUED)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found, and what stands in the way."""

    findings: tuple[Finding, ...]
    errors: tuple[AdctlError, ...]

    def require(self) -> None:
        """Raise what stands in the way, if anything does: the first of it, and how much more there is."""
        if self.errors:
            first = self.errors[0]
            more = len(self.errors) - 1
            words = f"{first}" + (f" (and {more} more: adctl migrate check)" if more else "")
            raise type(first)(words) if type(first).__init__ is Exception.__init__ else first


def check(source: Settings, target: Target, copy: Path | None) -> Checked:
    """Look at both sides; `copy` is the folder of the backup, None where there is one already."""
    findings: list[Finding] = []
    errors: list[AdctlError] = []
    looks: Sequence[tuple[str, Callable[[], Iterator[Finding]]]] = (
        ("source", lambda: _source(source)),
        ("backup", lambda: _backup(source, copy)),
        ("store", lambda: _store(source, target)),
        ("sweeps", lambda: _sweeps(source, target)),
        ("runs", lambda: _runs(source, target)),
        ("files", lambda: _files(source, target)),
        ("broker", lambda: _broker(target)),
        ("pictures", lambda: _pictures(source)),
    )
    for about, look in looks:
        try:
            findings += look()
        except AdctlError as error:
            errors.append(error)
            findings.append(problem(about, str(error)))
    return Checked(findings=tuple(findings), errors=tuple(errors))


def identity_of(url: str) -> str | None:
    """Return the name that a store was given, None where there is no store or it has none yet."""
    if steps.revision_of(url) is None:
        return None
    with rows.opened(url) as (connection, metadata):
        if "collector" not in metadata.tables:
            return None
        return connection.execute(text("SELECT store FROM collector")).scalar()


def open_source(source: Settings) -> SqlStore:
    """Open the store that is to move, sealed or not; raise as `open_store`."""
    if not (source.home / "store.db").exists():
        raise InvalidRequest(f"there is no store in {source.home}, so nothing can move; set ADCTL_HOME")
    return open_store(source.database_url, sealed=True)


def _source(source: Settings) -> Iterator[Finding]:
    """Say whether anything works on what is to move."""
    names = [state.name for state in lifecycle.states(source) if state.pid]
    if names or leftovers.marked(source.home):
        raise Conflict(f"services of {source.home} run ({', '.join(names) or 'left behind'}): adctl down")
    with closing(open_source(source)) as store:
        database = Database(backend_of(source.database_url))
        with closing(database):
            seal = seal_of(database)
        if seal is not None and seal.state is SealState.MOVED:
            raise StoreMoved(seal.words)
        if seal is None:
            store.leases.reap()
        online = [worker for worker in store.workers.roster() if worker.state != "gone"]
        if online:
            ids = ", ".join(f"{worker.id} (pid {worker.pid} on {worker.node})" for worker in online[:3])
            raise Conflict(f"workers are online: {ids}; adctl down, or end each, then wait half a minute")
        running = store.jobs.search(states=(JobState.RUNNING,))
        if running:
            told = ", ".join(f"{job.id} on {job.worker}" for job in running[:3])
            raise Conflict(f"{len(running)} jobs run: {told}; adctl down has them given back")
        counts = store.jobs.count()
        told = ", ".join(f"{counts[state]} {state.value}" for state in JobState if counts.get(state))
        yield ok("source", f"nothing runs in {source.home}, schema {HEAD}; jobs: {told or 'none'}")


def _backup(source: Settings, copy: Path | None) -> Iterator[Finding]:
    """Say whether there is room for the copy that is made first."""
    if copy is None:
        yield ok("backup", "was made before")
        return
    if copy.exists() and any(copy.iterdir()):
        raise Conflict(f"{copy} is not empty; give another --backup")
    if source.home in (copy, *copy.parents):
        raise InvalidRequest(f"{copy} lies in what it is to be a copy of; give another --backup")
    size = backup.weight(source.home)
    _room(copy, size, "the copy")
    yield ok("backup", f"{size / 1e6:.1f} MB to {copy}")
    if (root := local_root(source.storage_url)) is None or source.home not in root.parents:
        yield warning(
            "backup",
            f"the storage lies elsewhere ({shown(source.storage_url)}), and is no part of it",
            "copy it yourself",
        )


def _store(source: Settings, target: Target) -> Iterator[Finding]:
    """Say whether the target's store can take the rows."""
    url = target.settings.database_url
    found = steps.revision_of(url)
    if found is None:
        with rows.opened(url) as (connection, metadata):
            _require_right_to_make(connection, target.where)
        yield ok("store", f"{target.where} answers, and is empty")
        return
    steps.check(url)
    with rows.opened(url) as (connection, metadata):
        if _is_ours(source, connection):
            raise Conflict(f"{target.where} holds this very store: it has moved there before")
        tables = [table for table in metadata.sorted_tables if table.name not in parts.SKIPPED]
        _require_rights(connection, tables, target.where)
        if filled := parts.Store.filled(connection, tables):
            raise Conflict(f"the store {target.where} is not empty: it has rows in {', '.join(filled)}")
    yield ok("store", f"{target.where} answers, schema {HEAD}, and is empty")


def _is_ours(source: Settings, connection: Connection) -> bool:
    known = connection.execute(text("SELECT store FROM collector")).scalar()
    return known is not None and known == identity_of(source.database_url)


def _require_right_to_make(connection: Connection, where: str) -> None:
    if connection.dialect.name != "postgresql":
        return
    may = connection.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar()
    if not may:
        raise Forbidden(f"the account of {where} may not make tables: give that of the owner (owner.env)")


def _require_rights(connection: Connection, tables: Sequence[object], where: str) -> None:
    if connection.dialect.name != "postgresql":
        return
    for name in (str(getattr(table, "name", "")) for table in tables):
        may = connection.execute(
            text("SELECT has_table_privilege(:table, 'INSERT') AND has_table_privilege(:table, 'DELETE')"),
            {"table": f'"{name}"'},
        ).scalar()
        if not may:
            raise Forbidden(f"the account of {where} may not fill {name}: give that of the owner (owner.env)")


def _sweeps(source: Settings, target: Target) -> Iterator[Finding]:
    """Say whether the target's database of sweeps can take those that are here."""
    file, url = sweeps.file_of(source), sweeps.database_of(target.settings)
    with rows.opened(url) as (connection, metadata):
        if "studies" not in metadata.tables:
            if not url.endswith("search_path%3Doptuna"):
                _require_right_to_make(connection, shown(url))
            yield ok("sweeps", f"{shown(url)} answers, and is empty")
            return
        if file is None or not file.exists():
            strange = parts.ids_of(connection, metadata.tables["studies"], "study_name")
        else:
            with rows.opened(f"sqlite:///{file}") as (old, here):
                pair = (here.tables["studies"], metadata.tables["studies"])
                strange = {*parts.strangers(old, connection, pair, "study_name")}
        _require_rights(connection, metadata.sorted_tables, shown(url))
    if strange:
        named = ", ".join(sorted(map(str, strange))[:3])
        raise Conflict(f"{shown(url)} has sweeps of its own ({named}): it must be empty")
    yield ok("sweeps", f"{shown(url)} answers, and has no sweeps of others")


def _runs(source: Settings, target: Target) -> Iterator[Finding]:
    """Say whether MLflow's server and its database can take the runs."""
    uri, url = target.settings.tracking_uri, target.mlflow_database
    if not url:
        yield ok("runs", "MLflow does not move")
        return
    if not source.tracking_uri.startswith("sqlite:"):
        raise InvalidRequest(
            f"MLflow's runs are in {shown(source.tracking_uri)}, not in ADCTL_HOME: unset MLFLOW_TRACKING_URI"
        )
    runs.check_server(uri)
    with rows.opened(url) as (new, there), rows.opened(source.tracking_uri) as (old, here):
        if "runs" not in there.tables:
            raise StoreMismatch(f"{shown(url)} has none of MLflow's tables: is it the database of {uri}?")
        _same_release(old, new)
        rows.check_alike(here, there, runs.SKIPPED, "MLflow's database")
        _require_rights(new, rows.in_order(there, runs.SKIPPED), shown(url))
        for name, column in (("runs", "run_uuid"), ("registered_models", "name")):
            if strange := parts.strangers(old, new, (here.tables[name], there.tables[name]), column):
                raise Conflict(
                    f"{shown(url)} has {name} of its own ({', '.join(strange[:3])}): it must be empty"
                )
    yield ok("runs", f"{uri} and {shown(url)} answer, and have no runs of others")


def _same_release(old: Connection, new: Connection) -> None:
    wanted, found = (
        each.execute(text("SELECT version_num FROM alembic_version")).scalar() for each in (old, new)
    )
    if wanted != found:
        raise StoreMismatch(
            f"MLflow's schema is {wanted} here and {found} on the server: run the same release on both sides "
            "(adctl up, then adctl down brings the one here up to date)"
        )


def _files(source: Settings, target: Target) -> Iterator[Finding]:
    """Say whether the target's storage can take the files."""
    old, new = source.storage_url, target.settings.storage_url
    if old == new:
        yield ok("files", f"both use {shown(new)}")
        return
    count, size = files.weight(old)
    if (root := local_root(new)) is not None:
        _room(root, size, "the storage")
    files.try_out(new)
    if strange := files.strangers(old, new):
        raise Conflict(
            f"the storage {shown(new)} has files of its own ({', '.join(strange)}): it must be empty"
        )
    yield ok("files", f"{count} files, {size / 1e6:.1f} MB, to {shown(new)}, which can be written")


def _broker(target: Target) -> Iterator[Finding]:
    """Say whether the target's broker answers."""
    from ad_platform.queue.facts import broker_facts

    facts = broker_facts(target.settings.broker_url)
    yield ok("broker", f"{facts.program} at {shown(target.settings.broker_url)} answers")


def _pictures(source: Settings) -> Iterator[Finding]:
    """Say which pictures jobs that are still to run need, and lie on this machine alone."""
    with closing(open_source(source)) as store:
        lacking = {}
        for job in store.jobs.search(states=OPEN, limit=1000):
            data = job.spec.dataset
            if store.pushed.get(data.fingerprint) is None:
                lacking[data.fingerprint] = (f"{data.dataset}/{data.category}", data.path)
    for name, path in lacking.values():
        yield warning(
            "pictures",
            f"jobs that are still to run need {name}, which lies on this machine alone, as far as is known",
            f"adctl data push {path} first, or have it where the workers are",
        )


def _room(place: Path, size: int, what: str) -> None:
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < size * SPARE:
        raise DiskFull(
            f"no room for {what} in {there}: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        )
