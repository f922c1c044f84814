"""Sets of pictures on this machine, fetched from the storage: bounded, the longest unused go first.

    <fingerprint>.lock        held, shared, by every process that uses the set; alone by who removes it
    <fingerprint>.filling     held by the one that fetches what lacks
    <fingerprint>/list.json   which files it consists of; while it is there, room is taken for all of them
    <fingerprint>/pictures/   the files, each under its name once it is whole and verified
    <fingerprint>/whole       says that all are there

Several processes may use a folder at once, and each may be killed anywhere: locks end with their holders, a
file has its name only when it is whole, and what a dead one has fetched the next one goes on from.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import DiskFull, Unavailable
from ad_platform.failpoints import Edge, reach
from ad_platform.pictures.locks import Lock, take
from ad_platform.specs import Json
from ad_platform.storage.pushed_file import PushedFile

LIST, PICTURES, WHOLE, BEGUN = "list.json", "pictures", "whole", "begun"
_GONE, _NEW = ".gone-", ".new-"
_USE, _FILL = ".lock", ".filling"

Waiting = Callable[[str], None]  # passes time, says what for; raises to give up


@dataclass(frozen=True)
class KeptSet:
    """A set that lies here, whole or in part."""

    fingerprint: str
    folder: Path
    size: int  # bytes of all its files, fetched or not
    used: float  # when, in seconds since the epoch


class FetchedSets:
    """The sets of one folder; `limit` bounds the bytes of all of them together."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def use(self, fingerprint: str) -> Lock:
        """Keep a set from being removed until the lock is released or the process ends."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            held = take(self.folder / f"{fingerprint}{_USE}", shared=True)
        assert held is not None
        return held

    def pictures(self, fingerprint: str) -> Path:
        """Return the folder of a set's files, whether they are there or not."""
        return self.folder / fingerprint / PICTURES

    def is_whole(self, fingerprint: str) -> bool:
        """Say whether a set is there, and mark it as used now."""
        entry = self.folder / fingerprint
        if not (entry / WHOLE).exists():
            return False
        with suppress(OSError):
            os.utime(entry / LIST)
        return True

    def make_room(self, fingerprint: str, files: Sequence[PushedFile], waiting: Waiting) -> None:
        """Take room for a set; what nobody uses goes, and where that is not enough one waits.

        Raises DiskFull for a set that never fits, and where the disk is full; what `waiting` raises passes.
        """
        size = sum(file.size for file in files)
        if size > self.limit:
            raise DiskFull(
                f"the pictures take {_gb(size)}, more than the {_gb(self.limit)} that this machine keeps of "
                "pushed pictures; raise ADCTL_FETCH_GB where its worker starts"
            )
        while not self._has_room(fingerprint, files, size):
            waiting("waiting for room: what is kept here is in use")

    def filling(self, fingerprint: str, waiting: Waiting) -> Lock:
        """Become the one that fetches a set."""
        while (lock := take(self.folder / f"{fingerprint}{_FILL}", wait=False)) is None:
            waiting("waiting for another job that fetches the same images")
        return lock

    def kept(self) -> list[KeptSet]:
        """Return the sets that lie here, the longest unused first."""
        found = []
        for entry in _children(self.folder):
            with suppress(OSError, ValueError, KeyError, TypeError):
                used = (entry / LIST).stat().st_mtime
                size = int(json.loads((entry / LIST).read_text())["size"])
                found.append(KeptSet(entry.name, entry, size, used))
        return sorted(found, key=lambda each: (each.used, each.fingerprint))

    def evict(self, fingerprint: str) -> bool:
        """Remove a set, unless somebody uses it; say whether it is gone."""
        lock = take(self.folder / f"{fingerprint}{_USE}", wait=False)
        if lock is None:
            return False
        gone = self.folder / f"{_GONE}{secrets.token_hex(6)}"
        try:
            with suppress(FileNotFoundError):
                (self.folder / fingerprint).rename(gone)  # at once: never a set of which a part is there
            reach(Edge.EVICTED)
            shutil.rmtree(gone, ignore_errors=True)
            (self.folder / f"{fingerprint}{_FILL}").unlink(missing_ok=True)
        finally:
            lock.remove()
        return True

    def alike(self, fingerprint: str) -> dict[str, Path]:
        """Return the files of other sets here by what they should hold, SHA-256."""
        found: dict[str, Path] = {}
        for other in self.kept():
            if other.fingerprint == fingerprint:
                continue
            with suppress(OSError, ValueError, KeyError):
                for value in json.loads((other.folder / LIST).read_text())["files"]:
                    file = PushedFile.from_json(value)
                    found.setdefault(file.sha256, other.folder / PICTURES / file.name)
        return found

    def _has_room(self, fingerprint: str, files: Sequence[PushedFile], size: int) -> bool:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take(self.folder / "room.lock")
            assert lock is not None
            try:
                self._clear()
                if (self.folder / fingerprint / LIST).exists():
                    return True
                if not self._evict_until(size):
                    return False
                self._reserve(fingerprint, files, size)
                return True
            finally:
                lock.release()

    def _evict_until(self, size: int) -> bool:
        """Remove what was unused for longest until so many bytes fit; raise DiskFull for a full disk."""
        kept = self.kept()
        total = sum(each.size for each in kept)
        for each in kept:
            if total + size <= self.limit and shutil.disk_usage(self.folder).free >= size:
                return True
            if self.evict(each.fingerprint):
                total -= each.size
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise DiskFull(f"no room in {self.folder} for {_gb(size)} of pictures, only {_gb(free)} free")
        return total + size <= self.limit

    def _reserve(self, fingerprint: str, files: Sequence[PushedFile], size: int) -> None:
        value: dict[str, Json] = {"size": size, "files": [file.to_json() for file in files]}
        made = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.folder))
        (made / LIST).write_text(json.dumps(value))
        (made / BEGUN).mkdir()
        shutil.rmtree(self.folder / fingerprint, ignore_errors=True)  # without a list nobody knows what it is
        made.rename(self.folder / fingerprint)

    def _clear(self) -> None:
        """Remove what dead processes left in the midst of making or removing a set."""
        for path in self.folder.glob(".*"):
            if path.name.startswith((_GONE, _NEW)):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say which folder could not be written, and whether the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room left in {folder} for pictures from the storage; free some") from error
        reason = (error.strerror or str(error)).lower()
        raise Unavailable(f"cannot keep pictures in {folder}: {reason}; check the rights on it") from error


def _children(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"
