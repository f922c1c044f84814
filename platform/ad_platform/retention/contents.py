"""Which files of the storage a pushed set consists of: read once, since its name is the hash of them."""

from __future__ import annotations

from collections.abc import Iterable

from ad_platform.errors import CorruptBundle
from ad_platform.pictures.sets import files_of, read_set
from ad_platform.records import PushedData
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import SETS, set_of
from ad_platform.store.contract import Store


class Contents:
    """The files that sets name, by fingerprint; None for a list that cannot be read, which may name any."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[str, frozenset[str] | None] = {}
        self.stores: dict[str, str] = {}  # by which store a set was pushed

    def of(self, notes: Iterable[PushedData]) -> dict[str, frozenset[str] | None]:
        """Return those of all sets that lie in the storage, and of all that are noted; raise StorageDown."""
        wanted = {note.fingerprint: not note.dataset for note in notes}
        for mark in filter(None, map(set_of, self._storage.names(SETS))):
            wanted.setdefault(mark, False)
        return {mark: self._read(mark, listing=listing) for mark, listing in wanted.items()}

    def _read(self, fingerprint: str, *, listing: bool) -> frozenset[str] | None:
        if self._known.get(fingerprint) is None:
            try:
                found = files_of(self._storage, fingerprint, listing=listing)
            except CorruptBundle:
                return None
            if found is None:
                return frozenset()  # it is gone: pushed again, it is looked at again
            self._known[fingerprint] = frozenset(file.path for file in found)
            if not listing and (whole := read_set(self._storage, fingerprint)) is not None:
                self.stores[fingerprint] = whole.store
        return self._known[fingerprint]


def note_again(store: Store, storage: Storage, place: str) -> None:
    """Note a set whose list has come back from the trash."""
    head, _, fingerprint = place.rpartition("/")
    found = read_set(storage, fingerprint) if head == SETS else None
    if found is None:
        return
    store.pushed.record(
        PushedData(
            fingerprint=fingerprint,
            dataset=found.dataset,
            category=found.category,
            files=len(found.files),
            size=found.size,
            user=found.user,
        )
    )
