"""A home whose store, storage, broker, MLflow and Optuna can be damaged, and a doctor to look at it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ad_cli.comparisons import comparing
from ad_platform import settings as environment
from ad_platform.doctor.findings import Finding, Level, Look, examine
from ad_platform.doctor.ground import Ground
from ad_platform.doctor.mending import Mended, mend
from ad_platform.records import Job, WorkerRecord
from ad_platform.store.engine import backend_of
from job_stories import Stories

HOUR = 3600.0


@dataclass
class Ward:
    """One patient; the clock of its store stands still unless a doctor waits."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {"ADCTL_HOME": str(self.folder), "ADCTL_NODE": "n1", "ADCTL_USER": "kim", **self.env}
        self.settings = environment.load(given)
        self.stories = Stories(self.folder, self.env.get("ADCTL_DATABASE_URL", ""))
        self.store, self.storage = self.stories.store, self.stories.storage
        self.ground = self.new_ground()

    def new_ground(self, **more: Any) -> Ground:
        """Return what another doctor would stand on."""
        ground = Ground(self.settings, pause=self.wait, **more)
        ground.__dict__["_store"] = self.store  # whose clock is ours
        return ground

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.stories.time += seconds

    def looks(self, *names: str) -> Sequence[tuple[str, Look]]:
        """Return the looks of these names, or all but those at clocks: the store's stands still."""
        every = [look for look in comparing(self.ground) if look[0] != "clock"]
        return [look for look in every if not names or look[0] in names]

    def look(self, *names: str) -> list[Finding]:
        """Return what is not as it should be."""
        found = examine(self.looks(*names), patience=120.0)
        assert not [each for each in found if "cannot be looked at" in each.words], found
        return [finding for finding in found if finding.level is not Level.OK]

    def kinds(self, *names: str) -> list[tuple[str, str]]:
        """Return the identities of what is not as it should be, sorted."""
        return sorted(finding.identity for finding in self.look(*names))

    def fix(self, *names: str) -> Mended:
        """Mend what can be."""
        look: Callable[[], list[Finding]] = lambda: self.look(*names)  # noqa: E731
        return mend(look, look())

    def mends(self, *identities: tuple[str, str], names: Iterable[str] = ()) -> Mended:
        """Check that exactly this is found, all of it mended, and nothing by a second doctor."""
        assert self.kinds(*names) == sorted(identities)
        mended = self.fix(*names)
        assert {each.finding.identity for each in mended.attempted if each.fixed} == set(identities), mended
        assert self.look(*names) == []
        return mended

    def sql(self, *statements: Any) -> None:
        """Write past the store's own methods, as a fault or a hand would."""
        engine = backend_of(self.stories.url).engine()
        try:
            with engine.begin() as connection:
                assert isinstance(connection, Connection)
                for statement in statements:
                    connection.execute(statement)
        finally:
            engine.dispose()

    def register(self, name: str, pid: int, node: str = "n1") -> None:
        """Let a worker be there."""
        self.store.workers.register(WorkerRecord(id=name, node=node, pid=pid, slots=1, detectors=("ddad",)))

    def heard(self) -> None:
        """Have every ring made."""
        self.store.outbox.rung([one.seq for one in self.store.outbox.owed()])

    def shipped(self, job: Job, run_id: str = "r") -> None:
        """Note that the tracking server was told of a job."""
        for shipment in self.store.shipments.claim("test", 60.0, job_id=job.id):
            self.store.shipments.done(shipment, run_id, 0)

    def ship_all(self) -> None:
        """Tell MLflow of everything, as a worker's shipper does."""
        self.ground.shipper.once()

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def killed() -> int:
    """Return the id of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.pid


def aged(path: Path, seconds: float) -> Path:
    """Make a file or folder as old as that."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def copied(database: Path, target: Path) -> None:
    """Copy an SQLite file with all that is in its log."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=WAL")
