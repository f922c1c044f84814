"""Which files of a watched folder are finished: looked at again and again, since no event says so."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ad_detectors.data.layout import is_image
from ad_workers.predicting.journal import Known, stamp_of

MOST = 64.0  # settling times between two tries of a file that cannot be read


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A folder that is watched, and when a file in it counts as finished or as broken."""

    folder: Path
    settle: float = 2.0  # seconds for which a finished file has not changed
    retries: int = 3  # of a file that cannot be read


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that has not changed for a while."""

    path: str  # absolute
    stamp: str
    tries: int  # that failed before, with just this content
    at: int  # when it was last written to, nanoseconds


@dataclass
class _Pending:
    stamp: str
    since: float  # when it was first seen as it is
    tries: int = 0
    again_at: float = 0.0


class Eye:
    """Looks at the pictures directly in a folder and says which are finished and not known.

    A file is finished once size, times and inode have stayed as they are between two looks that lie `settle`
    seconds apart, by our own clock: a share's may be another. So a file that is copied slowly waits, and one
    that is moved in whole waits no longer than that.
    """

    def __init__(self, folder: Path, settle: float, known: Known) -> None:
        self._folder, self._settle, self._known = folder, settle, known
        self._pending: dict[str, _Pending] = {}

    @property
    def waiting(self) -> int:
        """Return how many files were seen that are not finished or not scored yet."""
        return len(self._pending)

    def look(self, now: float) -> list[Finished]:
        """Return the finished files that are not known, the oldest first; raise OSError for the folder."""
        seen: set[str] = set()
        ready: list[Finished] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                status = _status(entry) if is_image(entry.name) else None
                if status is None:
                    continue
                path, stamp = os.path.abspath(entry.path), stamp_of(status)  # noqa: PTH100 - no link is followed
                if self._known.unchanged(path, stamp):
                    continue
                seen.add(path)
                pending = self._pending.get(path)
                if pending is None or pending.stamp != stamp:
                    self._pending[path] = _Pending(stamp, now)
                elif now - pending.since >= self._settle and now >= pending.again_at:
                    ready.append(Finished(path=path, stamp=stamp, tries=pending.tries, at=status.st_mtime_ns))
        self._pending = {path: each for path, each in self._pending.items() if path in seen}
        return sorted(ready, key=lambda file: (file.at, file.path))

    def failed(self, file: Finished, now: float) -> None:
        """Try a file again after a while, twice as long each time."""
        pending = self._pending.get(file.path)
        if pending is not None and pending.stamp == file.stamp:
            pending.tries += 1
            pending.again_at = now + self._settle * min(MOST, 2.0**pending.tries)

    def done(self, file: Finished) -> None:
        """Wait for a file no longer: it is known now, or gone."""
        self._pending.pop(file.path, None)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what is known of a file; None for what is none, or is gone."""
    try:
        # Not the entry's own: on Windows that lacks the inode, and a share may answer from what it remembers.
        status = os.stat(entry.path)  # noqa: PTH116 - thousands of these: no Path for each
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None
