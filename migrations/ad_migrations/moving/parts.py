"""The four parts of an installation that move, each by itself: files, sweeps, runs, and the store last.

Each may be moved again after an interruption: rows come in one transaction, and files are whole or not there.
The store comes last, since its commit is the moment from which the cluster's workers see the jobs: all that
they need lies there by then.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection, Table, func, select, text

from ad_migrations.moving import rows
from ad_migrations.moving.places import Target
from ad_migrations.moving.rows import Rewrite, Sum
from ad_platform.errors import Conflict, CorruptBundle
from ad_platform.failpoints import Edge, reach
from ad_platform.settings import Settings
from ad_platform.specs import Json
from ad_platform.storage import moving as files
from ad_platform.store.revision import VERSION_TABLE
from ad_platform.store.sealing import TABLE as SEAL
from ad_platform.sweeps import moving as sweeps
from ad_platform.tracking import moving as runs

Tell = Callable[[str], None]
EVERY = 100  # files between two words about them
# What tells of machines: workers of the cluster may be there already, and theirs stays.
MACHINES = frozenset({"holdings", "catalogue"})
IDENTITY = (
    "collector"  # names the store: it goes along, in the place of the name that an empty store was given
)
OF_THIS_MACHINE = frozenset({"workers", "held_back"})  # it does no work any more
SKIPPED = OF_THIS_MACHINE | {VERSION_TABLE, SEAL}


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of one part."""

    name: str
    words: str
    tables: dict[str, Sum] = field(default_factory=dict)  # as both sides hold them now

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        tables: dict[str, Json] = {
            name: {"rows": each.rows, "sum": f"{each.total:064x}"} for name, each in self.tables.items()
        }
        return {"name": self.name, "words": self.words, "tables": tables}


class Part(Protocol):
    """A part of an installation."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    def move(self, tell: Tell) -> Moved:
        """Bring it over, compare both sides, and say what there is now; may be repeated."""


@dataclass(frozen=True)
class Files:
    """Checkpoints, models, logs and pushed pictures."""

    source: Settings
    target: Settings
    name: str = "files"

    def move(self, tell: Tell) -> Moved:
        """Copy the storage, file by file, and read each back."""
        if self.source.storage_url == self.target.storage_url:
            return Moved(name=self.name, words="both use the same storage")
        done = files.move_files(self.source.storage_url, self.target.storage_url, counting(tell, self.name))
        words = f"{done.files} files, {done.size / 1e6:.1f} MB, equal by SHA-256; {done.copied} were sent"
        return Moved(name=self.name, words=words)


@dataclass(frozen=True)
class Sweeps:
    """What Optuna keeps of sweeps."""

    source: Settings
    target: Settings
    name: str = "sweeps"

    def move(self, tell: Tell) -> Moved:
        """Copy Optuna's rows, and compare every trial as Optuna itself reads it."""
        file = sweeps.file_of(self.source)
        if file is None or not file.exists():
            return Moved(name=self.name, words="there are none")
        sweeps.make_tables(self.source)  # brings the file to this Optuna's schema, or refuses
        sweeps.make_tables(self.target)
        tables = replace_rows(
            sweeps.database_of(self.source),
            sweeps.database_of(self.target),
            "Optuna's database",
            skip=frozenset({"alembic_version", "version_info"}),
            own=("studies", "study_name"),
        )
        here, there = sweeps.kept(self.source), sweeps.kept(self.target)
        refuse_differences(sweeps.differences(here, there))
        trials = sum(len(study.trials) for study in here.values())
        words = f"{len(here)} sweeps with {trials} trials, equal as Optuna reads them"
        return Moved(name=self.name, words=words, tables=tables)


@dataclass(frozen=True)
class Runs:
    """MLflow's runs, their files, and the registry of models."""

    source: Settings
    target: Target
    name: str = "runs"

    def move(self, tell: Tell) -> Moved:
        """Send the files of runs through MLflow's server, copy its rows, and compare as its client reads.

        Rows go past the server, since it would give runs, experiments and versions other ids than the store
        has noted.
        """
        uri, database = self.target.settings.tracking_uri, self.target.mlflow_database
        found = self.places()
        sent = runs.move_files(uri, found, counting(tell, self.name))
        tables = replace_rows(
            self.source.tracking_uri,
            database,
            "MLflow's database",
            skip=runs.SKIPPED,
            own=("runs", "run_uuid"),
            rewrite=runs.rewriting(found),
        )
        with rows.opened(self.source.tracking_uri) as (connection, metadata):
            experiments = ids_of(connection, metadata.tables["experiments"], "experiment_id")
            models = ids_of(connection, metadata.tables["registered_models"], "name")
        runs.give_to_workers(uri, [int(str(each)) for each in experiments], [str(each) for each in models])
        refuse_differences(runs.differences(self.source.tracking_uri, uri, found))
        count, (number, size) = tables["runs"].rows, runs.weight(found)
        words = (
            f"{count} runs and {len(models)} models, equal as MLflow's client reads them; "
            f"{number} files, {size / 1e6:.1f} MB, equal by SHA-256; {sent} were sent"
        )
        return Moved(name=self.name, words=words, tables=tables)

    def places(self) -> list[runs.Move]:
        """Return where the files of each experiment lie, and where they will."""
        with rows.opened(self.source.tracking_uri) as (connection, metadata):
            table = metadata.tables["experiments"]
            found = connection.execute(select(table.c.experiment_id, table.c.artifact_location))
            return runs.moves((int(row[0]), str(row[1] or "")) for row in found)


@dataclass(frozen=True)
class Store:
    """Jobs and all that is known of them."""

    source: str
    target: str
    name: str = "store"

    def move(self, tell: Tell) -> Moved:
        """Copy the store's rows, and compare all of them, before any of it counts."""
        with crossing(self.source, self.target, "the store", SKIPPED) as (old, new, pairs):
            if new.dialect.name == "postgresql":  # nobody may submit a job while this looks and copies
                new.execute(text("LOCK TABLE jobs, studies, benchmarks IN EXCLUSIVE MODE"))
            if filled := self.filled(new, [pair[1] for pair in pairs]):
                raise Conflict(f"the store of the target is not empty: it has rows in {', '.join(filled)}")
            rows.clear(new, [pair[1] for pair in pairs if pair[1].name == IDENTITY])
            rows.copy(old, new, pairs, spare=MACHINES)
            rows.count_on(old, new, pairs)
            tables = compared(old, new, pairs, spare=MACHINES)
            reach(Edge.CROSSING)
        jobs = tables["jobs"].rows
        words = f"{jobs} jobs and {sum(each.rows for each in tables.values())} rows in {len(tables)} tables"
        return Moved(name=self.name, words=f"{words}, equal", tables=tables)

    @staticmethod
    def filled(target: Connection, tables: Sequence[Table]) -> list[str]:
        """Return which of these tables have rows of other people's work."""
        return [
            table.name
            for table in tables
            if table.name not in {*MACHINES, IDENTITY}
            and target.execute(select(func.count()).select_from(table)).scalar_one()
        ]


@contextmanager
def crossing(
    source: str, target: str, what: str, skip: frozenset[str]
) -> Iterator[tuple[Connection, Connection, list[tuple[Table, Table]]]]:
    """Yield both databases, the target in a transaction, and the pairs of tables in order."""
    with rows.opened(source) as (old, here), rows.opened(target, write=True) as (new, there):
        rows.check_alike(here, there, skip, what)
        ordered = [table for table in rows.in_order(there, skip) if table.name in here.tables]
        yield old, new, [(here.tables[table.name], table) for table in ordered]


def replace_rows(
    source: str,
    target: str,
    what: str,
    *,
    skip: frozenset[str],
    own: tuple[str, str],
    rewrite: Rewrite = rows.as_it_is,
) -> dict[str, Sum]:
    """Have the target hold just the rows of the source, in one transaction, and return what both hold.

    What it holds before may be a part of the source, from an earlier try: `own` names the table and column
    that tell. Raises Conflict where it holds anything else.
    """
    with crossing(source, target, what, skip) as (old, new, pairs):
        name, column = own
        strange = strangers(old, new, {pair[1].name: pair for pair in pairs}[name], column)
        if strange:
            raise Conflict(
                f"{what} of the target is not empty: it has {name} of its own ({', '.join(strange[:3])})"
            )
        rows.clear(new, [pair[1] for pair in pairs])
        rows.copy(old, new, pairs, rewrite)
        rows.count_on(old, new, pairs)
        tables = compared(old, new, pairs, rewrite)
        reach(Edge.CROSSING)
    return tables


def strangers(old: Connection, new: Connection, pair: tuple[Table, Table], column: str) -> list[str]:
    """Return what a table of the target names that the source does not have."""
    known = ids_of(old, pair[0], column)
    return sorted(str(each) for each in ids_of(new, pair[1], column) - known)


def ids_of(connection: Connection, table: Table, column: str) -> set[object]:
    """Return the values of a column."""
    return {*connection.execute(select(table.c[column])).scalars()}


def compared(
    old: Connection,
    new: Connection,
    pairs: Sequence[tuple[Table, Table]],
    rewrite: Rewrite = rows.as_it_is,
    spare: frozenset[str] = frozenset(),
) -> dict[str, Sum]:
    """Return what each table holds on both sides; raise CorruptBundle where that differs."""
    found = {}
    for here, there in pairs:
        if here.name in spare:
            if missing := rows.missing_from(old, new, (here, there)):
                raise CorruptBundle(
                    f"{here.name} of the target lacks {len(missing)} rows, such as {missing[0]}"
                )
            continue
        wanted, got = rows.sum_of(old, here, rewrite), rows.sum_of(new, there)
        if wanted != got:
            raise CorruptBundle(
                f"{here.name} differs: {wanted.rows} rows ({wanted.short}) here, "
                f"{got.rows} ({got.short}) there"
            )
        found[here.name] = got
    return found


def refuse_differences(lines: Sequence[str]) -> None:
    """Raise CorruptBundle for what differs, if anything does."""
    if lines:
        more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise CorruptBundle(f"both sides do not hold the same: {lines[0]}{more}")


def counting(tell: Tell, what: str) -> Callable[[int, int], None]:
    """Return what says every so often how many files are done."""

    def told(done: int, of: int) -> None:
        if done == of or done % EVERY == 0:
            tell(f"{what}: {done} of {of} files")

    return told
