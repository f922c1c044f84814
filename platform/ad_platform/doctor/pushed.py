"""Compares what the store notes of pushed pictures with what lies in the storage; names files of nobody."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.errors import CorruptBundle, StorageDown
from ad_platform.pictures.sets import files_of
from ad_platform.retention.contents import note_again
from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import BLOBS, SETS, set_of
from ad_platform.storage.pushed_file import PushedFile
from ad_platform.store.contract import Store

ABOUT = "pictures"
DAY = 86400.0  # seconds that a push may take: what is younger may still get its list
SUCH_AS = 3  # names in a finding


def pictures(ground: Ground) -> Iterator[Finding]:
    """Name pushed pictures that are not whole, those nobody has noted, and files that belong to none."""
    store, storage = ground.store, ground.storage
    if store is None:
        return
    try:
        names = storage.names(SETS)
        noted = {note.fingerprint: not note.dataset for note in store.pushed.all()}
        if not names and not noted:
            return
        stored = {file.path: file for file in storage.survey(BLOBS)}
    except StorageDown:  # another look says so
        return
    stray = filter(None, map(set_of, names))
    go_on, told, needed = ground.time_left(), 0, set[str]()
    for mark in dict.fromkeys([*noted, *stray]):
        if not go_on():
            yield unlooked(ABOUT, "some pushed pictures, since the storage is slow (--deep)")
            return
        files, finding = _set(store, storage, mark, noted, stored)
        needed |= {file.path for file in files}
        if finding is not None and told < ground.most:
            told += 1
            yield finding
    yield from _nobodys([file for path, file in stored.items() if path not in needed])


def _set(
    store: Store, storage: Storage, mark: str, noted: Mapping[str, bool], stored: Mapping[str, StoredFile]
) -> tuple[Sequence[PushedFile], Finding | None]:
    """Return the files of a set, and what is wrong with it."""
    try:
        files = files_of(storage, mark, listing=noted.get(mark, False))
    except CorruptBundle as error:
        return (), _found(
            mark, str(error), kind="broken-pictures", remedy="adctl data push DIR, where they lie"
        )
    if files is None:
        words = f"pictures {mark[:12]} are noted as pushed, and their list is not in the storage"
        forget = Mending(words="forgets the note", do=partial(_forget, store, storage, mark))
        return (), _found(mark, words, kind="lost-pictures", mending=forget)
    lost = [file for file in files if file.path not in stored or stored[file.path].size != file.size]
    if lost:
        named = ", ".join(file.name for file in lost[:SUCH_AS])
        words = (
            f"{len(lost)} of {len(files)} files of pictures {mark[:12]} are missing or cut short ({named})"
        )
        return files, _found(
            mark, words, kind="broken-pictures", remedy="adctl data push DIR, where they lie"
        )
    if mark not in noted:
        words = f"pictures {mark[:12]} lie whole in the storage, and the store does not know"
        note = Mending(
            words="notes them, so that workers fetch them", do=partial(_note, store, storage, mark)
        )
        return files, _found(mark, words, kind="unnoted-pictures", mending=note)
    return files, None


def _nobodys(files: Sequence[StoredFile]) -> Iterator[Finding]:
    old = [file for file in files if time.time() - file.modified > DAY]
    if old:
        size = sum(file.size for file in old) / 1e6
        words = f"{len(old)} pushed files ({size:.1f} MB) belong to no pushed pictures"
        yield _found(BLOBS, words, kind="files-of-no-pictures", remedy="adctl gc")


def _found(
    subject: str, words: str, *, kind: str, remedy: str = "", mending: Mending | None = None
) -> Finding:
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind=kind,
        subject=subject,
        words=words,
        remedy=remedy,
        mending=mending,
    )


def _forget(store: Store, storage: Storage, mark: str) -> str:
    if f"{SETS}/{mark}.json" in storage.names(SETS):
        return "they are there after all"
    if not store.pushed.forget(mark):
        return "a job waits for them: push them again with adctl data push"
    return "the note was forgotten"


def _note(store: Store, storage: Storage, mark: str) -> str:
    note_again(store, storage, f"{SETS}/{mark}")
    return "they were noted"
