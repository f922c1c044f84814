"""Finds and ends the processes that one ADCTL_HOME's services left behind, whatever became of supervisord."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from ad_platform.stack.services import MARK


def marked(home: Path) -> list[psutil.Process]:
    """Return the living processes that `up` of this home started, and theirs; zombies count as dead."""
    # Whoever asks may itself be run by a job: it and its parents are not what is looked for.
    asking = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [one for one in psutil.process_iter() if one.pid not in asking and _is_ours(one, home)]


def end(processes: Sequence[psutil.Process], grace: float) -> list[psutil.Process]:
    """Ask processes to end, kill those that have not after a while, and return those that live on."""
    known = {process.pid for process in processes}
    for process in processes:
        # Only the oldest are asked: they end their own children, which may want to checkpoint first.
        if _parent(process) not in known:
            _signal(process, "terminate")
    alive = wait(processes, grace)
    for process in alive:
        _signal(process, "kill")
    return wait(alive, 5.0)


def wait(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until processes have ended and return those that still live after that time."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def lives(process: psutil.Process) -> bool:
    """Say whether a process runs; where nobody reaps, a dead one stays as a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_ours(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(home) and lives(process)
    except (psutil.Error, OSError):
        return False  # somebody else's, or gone


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def _signal(process: psutil.Process, how: str) -> None:
    with suppress(psutil.NoSuchProcess):
        getattr(process, how)()
