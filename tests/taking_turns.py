"""Lets tests that measure seconds have the machine to themselves while the others run side by side."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

# They promise that something has happened within seconds, with real processes.
ALONE = ("integration/stack/",)


@contextmanager
def turn(node: str, run: str) -> Iterator[None]:
    """Hold the machine for one test of a run in several processes: alone, or with others of the same kind."""
    kind = fcntl.LOCK_EX if any(part in node for part in ALONE) else fcntl.LOCK_SH
    with held(run, "door", kind) as door, held(run, "room", kind):
        # Whoever waits for the room holds the door, or quick tests would slip in before for ever.
        if kind == fcntl.LOCK_SH:
            fcntl.flock(door, fcntl.LOCK_UN)
        yield


@contextmanager
def held(run: str, name: str, kind: int) -> Iterator[TextIO]:
    """Hold a lock that the processes of a run share."""
    with file(run, name).open("a") as lock:
        fcntl.flock(lock, kind)
        try:
            yield lock
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # said, since a process that outlives the test may hold it too


def file(run: str, name: str) -> Path:
    """Return the file that stands for a lock."""
    return Path(tempfile.gettempdir()) / f"adctl-tests-{run}-{name}"


def tidy(run: str) -> None:
    """Remove the files of a run."""
    for name in ("door", "room"):
        file(run, name).unlink(missing_ok=True)
