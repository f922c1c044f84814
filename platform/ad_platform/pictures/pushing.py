"""Brings pictures into the storage, each content once, and says so last.

The order makes it safe to be killed anywhere, and to run beside a collection: files, then the list that names
them, then the store's note, then another look whether a collection has taken a file that was there before,
since from the note on it takes none.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from ad_platform.datasets import contents_of, fingerprint_of
from ad_platform.errors import InvalidData, StorageDown
from ad_platform.failpoints import Edge, reach
from ad_platform.pictures.sets import PictureSet, write_set
from ad_platform.records import PushedData
from ad_platform.roots import VARIABLE, Roots
from ad_platform.settings import Settings
from ad_platform.specs import DatasetRef
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import BLOBS, blob_path
from ad_platform.storage.listings import Listing, write_listing
from ad_platform.storage.pushed_file import PushedFile
from ad_platform.store.contract import Store

AT_ONCE = 8  # files that are sent side by side
TRIES = 3  # of one file, where the storage does not answer
PAUSE = 0.5  # seconds before the next, doubled each time
LINKED = f"put a copy in its place, or name that folder in {VARIABLE} if others may see what it holds"

Told = Callable[[int, int], None]  # hears how many files of all are in the storage


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What a push came to."""

    note: PushedData
    sent: int = 0  # files that were not in the storage
    sent_bytes: int = 0


@dataclass(frozen=True)
class _Source:
    """A file here, and what it holds."""

    path: Path
    sha256: str
    size: int

    def read(self) -> bytes:
        """Return its content; raise InvalidData where that is not what it was."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InvalidData(f"cannot read {self.path}: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InvalidData(f"{self.path} changed while it was pushed; push again once it is finished")
        return content


@dataclass
class Pusher:
    """Pushes from this machine into one storage, and notes it in one store."""

    store: Store
    storage: Storage
    settings: Settings
    check: bool = False  # whether what is there already is read back, and sent again where it is broken
    at_once: int = AT_ONCE
    pause: Callable[[float], None] = time.sleep

    def category(self, data: DatasetRef, told: Told = lambda done, of: None) -> PushResult:
        """Push a category's folder; raise InvalidData where its files are not those of the reference.

        Raises StorageDown, DiskFull, StoreDown; whatever was sent by then need not be sent again.
        """
        files = contents_of(self.settings, Path(data.path))
        if fingerprint_of({each.name: each.sha256 for each in files}) != data.fingerprint:
            raise InvalidData(f"the pictures in {data.path} changed while they were read; push again")
        # Whoever made the folder may have put a link into it, to something that is not theirs to see.
        inside = Roots.of((data.path, self.settings.data_root, *self.settings.more_roots))
        inside.check((Path(each.path) for each in files), LINKED)
        sources = [_Source(Path(each.path), each.sha256, each.size) for each in files]
        pictures = PictureSet(
            fingerprint=data.fingerprint,
            dataset=data.dataset,
            category=data.category,
            files=[PushedFile(each.name, each.sha256, each.size) for each in files],
            store=self.store.retention.identity(),
            user=self.settings.user,
        )
        note = PushedData(
            fingerprint=data.fingerprint,
            dataset=data.dataset,
            category=data.category,
            files=len(files),
            size=pictures.size,
            user=self.settings.user,
        )
        return self._push(sources, note, lambda: write_set(self.storage, pictures), told)

    def listing(self, listing: Listing, told: Told = lambda done, of: None) -> tuple[Listing, PushResult]:
        """Push the pictures of a prediction, and return its listing, which then names what each holds."""
        folder = Path(listing.folder)
        with ThreadPoolExecutor(self.at_once) as pool:
            sources = list(pool.map(_source, (folder / name for name in listing.names)))
        pairs = zip(listing.names, sources, strict=True)
        whole = replace(listing, files=[PushedFile(name, each.sha256, each.size) for name, each in pairs])
        note = PushedData(
            fingerprint=whole.fingerprint,
            dataset="",
            category="",
            files=len(sources),
            size=sum(each.size for each in sources),
            user=self.settings.user,
        )
        return whole, self._push(sources, note, lambda: write_listing(self.storage, whole), told)

    def _push(
        self, sources: Sequence[_Source], note: PushedData, name: Callable[[], object], told: Told
    ) -> PushResult:
        by_content = {each.sha256: each for each in sources}
        sent = self._send(by_content, told, check=self.check)
        reach(Edge.GIVEN)
        name()
        reach(Edge.NAMED)
        noted = self.store.pushed.record(note)
        again = self._send(by_content, lambda done, of: None, check=False)
        every = {*sent, *again}
        return PushResult(
            note=noted, sent=len(every), sent_bytes=sum(by_content[each].size for each in every)
        )

    def _send(self, wanted: Mapping[str, _Source], told: Told, *, check: bool) -> set[str]:
        """Bring every content into the storage that is not there, and return which these were."""
        there = stored(self.storage, wanted, self.at_once)
        good = {each for each in wanted if there.get(each) == wanted[each].size}
        lock, done = threading.Lock(), 0 if check else len(good)
        sent: set[str] = set()

        def one(sha256: str) -> None:
            nonlocal done
            known = sha256 in good and (not check or self._is_whole(sha256))
            if not known:
                self._write(blob_path(sha256), wanted[sha256].read())
            with lock:
                done += 1
                if not known:
                    sent.add(sha256)
                told(done, len(wanted))

        told(done, len(wanted))
        side_by_side(self.at_once, one, wanted if check else [each for each in wanted if each not in good])
        return sent

    def _is_whole(self, sha256: str) -> bool:
        content = self.storage.read(blob_path(sha256))
        return content is not None and hashlib.sha256(content).hexdigest() == sha256

    def _write(self, path: str, content: bytes) -> None:
        """Write a file; a storage that does not answer once is asked again."""
        for left in reversed(range(TRIES)):
            try:
                self.storage.write(path, content)
                return
            except StorageDown:
                if not left:
                    raise
                self.pause(PAUSE * 2 ** (TRIES - 1 - left))


def stored(storage: Storage, wanted: Iterable[str], at_once: int = AT_ONCE) -> dict[str, int]:
    """Return which of these contents lie in the storage, with their sizes, by SHA-256; raise StorageDown."""
    folders = sorted({each[:2] for each in wanted})
    with ThreadPoolExecutor(at_once) as pool:
        surveys = pool.map(lambda folder: storage.survey(f"{BLOBS}/{folder}"), folders)
        return {file.path.rsplit("/", 1)[1]: file.size for survey in surveys for file in survey}


def side_by_side(at_once: int, work: Callable[[str], None], items: Iterable[str]) -> None:
    """Do something with each item; the first error ends it all, once what is under way has ended."""
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="push")
    try:
        pending: list[Future[None]] = [pool.submit(work, item) for item in items]
        wait(pending, return_when=FIRST_EXCEPTION)
        failed = next((one for one in pending if one.done() and one.exception() is not None), None)
        if failed is not None:
            failed.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _source(path: Path) -> _Source:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return _Source(path, digest, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise InvalidData(f"cannot read {path}: {error.strerror or error}") from error
