"""Fetches what a machine lacks of a set of pictures, file by file, each verified before it has its name."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import InvalidData
from ad_platform.failpoints import Edge, reach
from ad_platform.pictures.fetched import BEGUN, WHOLE, FetchedSets, Waiting, writing
from ad_platform.storage.contract import Storage
from ad_platform.storage.pushed_file import PushedFile

AT_ONCE = 4  # files that come side by side
LOOK = 0.25  # seconds after which one looks up from waiting

Told = Callable[[int, int, int], None]  # hears bytes here, bytes of all, and files that lack; raises to stop


@dataclass(frozen=True)
class Fetcher:
    """Brings sets from one storage into one folder."""

    sets: FetchedSets
    storage: Storage
    told: Told = lambda here, of, lacking: None
    waiting: Waiting = lambda words: None

    def fetch(self, fingerprint: str, files: Sequence[PushedFile]) -> Path:
        """Return the folder of a set's files, fetching those that lack; the set must be in use.

        Raises InvalidData naming a file that is missing or broken in the storage, DiskFull, StorageDown.
        """
        folder = self.sets.pictures(fingerprint)
        while not self.sets.is_whole(fingerprint):
            self.sets.make_room(fingerprint, files, self.waiting)
            lock = self.sets.filling(fingerprint, self.waiting)
            try:
                if not self.sets.is_whole(fingerprint):  # somebody else may have filled it meanwhile
                    self._fill(fingerprint, files)
            finally:
                lock.release()
        return folder

    def mend(self, fingerprint: str, files: Sequence[PushedFile]) -> list[str]:
        """Remove what of a set on this machine is not what it should be, and return the names."""
        folder, wanted = self.sets.pictures(fingerprint), {file.name: file for file in files}
        lock = self.sets.filling(fingerprint, self.waiting)
        try:
            (folder.parent / WHOLE).unlink(missing_ok=True)
            broken = []
            for path in [path for path in folder.rglob("*") if path.is_file()]:
                name = path.relative_to(folder).as_posix()
                if name not in wanted or _sha256(path) != wanted[name].sha256:
                    path.unlink(missing_ok=True)
                    broken.append(name)
            return sorted(broken)
        finally:
            lock.release()

    def _fill(self, fingerprint: str, files: Sequence[PushedFile]) -> None:
        entry = self.sets.folder / fingerprint
        pictures = entry / "pictures"
        with writing(entry):
            shutil.rmtree(entry / BEGUN, ignore_errors=True)  # of one that was killed
            (entry / BEGUN).mkdir()
            for parent in sorted({(pictures / file.name).parent for file in files}):
                parent.mkdir(parents=True, exist_ok=True)
        lacking = [file for file in files if _size(pictures / file.name) != file.size]
        reach(Edge.FETCH)
        alike = self.sets.alike(fingerprint) if lacking else {}
        self._side_by_side(files, lacking, lambda file: self._bring(file, entry, alike.get(file.sha256)))
        reach(Edge.GATHERED)
        with writing(entry):
            (entry / WHOLE).touch()

    def _side_by_side(
        self, files: Sequence[PushedFile], lacking: Sequence[PushedFile], bring: Callable[[PushedFile], None]
    ) -> None:
        """Bring files, a few at a time, and say after each how far it is."""
        of = sum(file.size for file in files)
        here = of - sum(file.size for file in lacking)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")
        try:
            open_: dict[Future[None], PushedFile] = {pool.submit(bring, file): file for file in lacking}
            self.told(here, of, len(open_))
            while open_:
                done, _ = wait(open_, LOOK, FIRST_COMPLETED)
                for one in done:
                    one.result()
                    here += open_.pop(one).size
                self.told(here, of, len(open_))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an order to stop waits for nothing

    def _bring(self, file: PushedFile, entry: Path, alike: Path | None) -> None:
        target = entry / "pictures" / file.name
        with writing(entry):
            own = entry / BEGUN / secrets.token_hex(8)
            if alike is None or not _linked(alike, own, file.sha256):
                own.write_bytes(self._read(file))
            reach(Edge.FETCHED)
            own.replace(target)

    def _read(self, file: PushedFile) -> bytes:
        """Return what a file holds; one that comes broken is asked for once more."""
        for _ in range(2):
            content = self.storage.read(file.path)
            if content is None:
                raise InvalidData(
                    f"{file.name} is missing in the storage ({file.path}); push the pictures again where "
                    "they lie: adctl data push DIR"
                )
            if hashlib.sha256(content).hexdigest() == file.sha256:
                return content
        raise InvalidData(
            f"{file.name} is broken in the storage ({file.path} is not what was pushed, {file.size} bytes); "
            "send it again: adctl data push DIR --check"
        )


def _linked(alike: Path, own: Path, sha256: str) -> bool:
    """Give a file of another set a second name, if it holds what is wanted."""
    try:
        os.link(alike, own)
        if _sha256(own) == sha256:
            return True
        own.unlink()
    except OSError:  # removed meanwhile, or a disk without second names
        own.unlink(missing_ok=True)
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
