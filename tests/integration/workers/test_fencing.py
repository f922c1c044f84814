"""A worker that was stopped past its lease and goes on has no effect any more, nor has its child."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ad_platform.states import JobState
from ground import Ground, attempt_processes, ground
from running_platform import alive

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


@pytest.fixture
def land(folder: Path) -> Iterator[Ground]:
    with ground(folder / "fencing", ADCTL_LEASE="4") as fresh:
        yield fresh


def contents(land: Ground, job: str) -> dict[str, bytes]:
    """Return everything that lies in the storage for a job, but for what was printed."""
    root = Path(land.platform.settings.storage_url) / "jobs" / job
    files = [path for path in root.rglob("*") if path.is_file() and "logs" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@contextmanager
def nobody_writing(land: Ground) -> Iterator[None]:
    """Hold SQLite's one write lock: who is stopped in the midst of a write keeps it from all others."""
    with closing(sqlite3.connect(land.platform.home / "store.db", timeout=30, isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        yield
        store.execute("ROLLBACK")


def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on(land: Ground):
    first = land.platform.start_worker()
    second = land.platform.start_worker()
    job = land.submit(steps=100, pause=0.05)
    land.reaches(job, 4)
    stopped, other = (first, second) if attempt_processes(first.pid) else (second, first)
    child = attempt_processes(stopped.pid)
    with nobody_writing(land):
        os.kill(stopped.pid, signal.SIGSTOP)
    try:
        land.platform.wait(lambda: land.job(job).attempt == 2, "another worker takes over", 30)
        land.platform.wait(
            lambda: attempt_processes(other.pid) or land.job(job).state.terminal, "it is the other worker", 30
        )
        # The clock of the child says that its lease is over, though its supervisor cannot tell it.
        land.platform.wait(lambda: not alive(child), "the child leaves by itself", 15)
        assert "stopped: lost" in land.printed(job, 1)
        assert land.ended(job).state is JobState.SUCCEEDED
        before = (land.job(job), land.attempts(job), land.client.store.artifacts.checkpoints(job))
        files = contents(land, job)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    log = land.platform.home / "logs" / f"hand-{land.platform.workers.index(stopped)}.log"
    land.platform.wait(lambda: f"job {job} attempt 1 ended" in log.read_text(), "it has given up", 20)
    after = (land.job(job), land.attempts(job), land.client.store.artifacts.checkpoints(job))
    assert after == before
    assert contents(land, job) == files
    assert [attempt.outcome for attempt in after[1]] == ["lost", "succeeded"]
    assert after[1][1].facts["resumed_step"] == land.steps(job, 2)[0] - 1
    assert not alive(child)

    again = land.submit()  # and it is of use again
    assert land.ended(again).state is JobState.SUCCEEDED
