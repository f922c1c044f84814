"""Which pictures a fingerprint stands for: a list in the storage that its own name verifies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.datasets import fingerprint_of
from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.specs import Json
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import set_path
from ad_platform.storage.listings import read_listing
from ad_platform.storage.pushed_file import PushedFile

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """The pushed pictures and masks of a category."""

    fingerprint: str  # of the names and hashes below, as the detectors take it
    dataset: str
    category: str
    files: Sequence[PushedFile]
    store: str = ""  # the name of the store in which it was noted
    user: str = ""

    @property
    def size(self) -> int:
        """Return the bytes of all files, each as often as it is there."""
        return sum(file.size for file in self.files)

    @property
    def content(self) -> bytes:
        """Return it as JSON."""
        value: dict[str, Json] = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "dataset": self.dataset,
            "category": self.category,
            "store": self.store,
            "user": self.user,
            "files": [file.to_json() for file in self.files],
        }
        return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def write_set(storage: Storage, pictures: PictureSet) -> None:
    """Write the list of a set, whole or not at all: from then on the set is there."""
    storage.write(set_path(pictures.fingerprint), pictures.content)


def read_set(storage: Storage, fingerprint: str) -> PictureSet | None:
    """Return a set, or None; raise CorruptBundle for a list that is not what its name says."""
    path = set_path(fingerprint)
    content = storage.read(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r} is not known to this version of adctl")
        found = PictureSet(
            fingerprint=fingerprint,
            dataset=str(value["dataset"]),
            category=str(value["category"]),
            files=tuple(map(PushedFile.from_json, value["files"])),
            store=str(value["store"]),
            user=str(value["user"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, InvalidValue) as error:
        raise CorruptBundle(
            f"{path} is broken ({error}); push the pictures again: adctl data push"
        ) from error
    if fingerprint_of({file.name: file.sha256 for file in found.files}) != fingerprint:
        raise CorruptBundle(f"{path} is broken: it lists other pictures; push them again: adctl data push")
    return found


def files_of(storage: Storage, fingerprint: str, *, listing: bool = False) -> Sequence[PushedFile] | None:
    """Return the files of a set, or those of a prediction's listing; None where there is no such list.

    Raises CorruptBundle, StorageDown.
    """
    if listing:
        return read_listing(storage, fingerprint).files
    found = read_set(storage, fingerprint)
    return None if found is None else found.files
