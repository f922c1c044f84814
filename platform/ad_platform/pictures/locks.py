"""Locks that end with their holder, however it dies: of one process, or shared by many."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lock:
    """A lock that is held; the kernel lets go of it when the process ends."""

    path: Path
    handle: int

    def release(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self.handle)

    def remove(self) -> None:
        """Take the file away while it is held alone, and let go: whoever waits for it makes another."""
        self.path.unlink(missing_ok=True)
        self.release()


def take(path: Path, *, shared: bool = False, wait: bool = True) -> Lock | None:
    """Take a lock, alone or with others; None where it is held and one would not wait."""
    import fcntl  # not on Windows, where no worker runs

    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
            if _is_at(path, handle):
                return Lock(path, handle)
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its file was removed while we waited


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
