"""What was taken lies in the trash as it was, until it is restored or removed for good.

    trash/<entry>/files/<path>   the files, below the paths they had
    trash/<entry>/entry.json     what these are; written last, so an entry exists whole or not at all

A file is copied (in a folder: given a second name), the entry is written, and only then the files are removed
where they were: manifests first, so that no bundle is ever there in part. To restore is the same the other
way round: files first, manifests last, and only then the entry goes. So at any moment a bundle is whole in
its place, whole in the trash, or both; whoever comes next finishes what a dead one began.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ad_platform.errors import CorruptBundle
from ad_platform.failpoints import Edge, reach
from ad_platform.retention.plan import Judged
from ad_platform.retention.units import TRASH, Unit, UnitKind
from ad_platform.specs import Json
from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.bundles import MANIFEST
from ad_platform.storage.contract import Storage

_FORMAT = 1
_AT_ONCE = 100  # removals between two looks whether one may go on

Hold = Callable[[], None]  # raises ClaimLost where one may not go on


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """A unit in the trash."""

    kind: str
    prefix: str
    because: str
    paths: tuple[str, ...]  # where its files were, its manifest last
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a collection took of one place at one time."""

    name: str
    store: str  # the name of the store by which it was decided
    place: str  # "jobs/<id>", "stages/<key>", ...
    at: float  # seconds since the epoch
    user: str
    thrown: tuple[Thrown, ...]

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(each.size for each in self.thrown)

    @property
    def paths(self) -> list[str]:
        """Return where its files were: those of bundles before their manifests."""
        every = [path for each in self.thrown for path in each.paths]
        return [*(p for p in every if not _is_manifest(p)), *filter(_is_manifest, every)]

    def kept(self, path: str) -> str:
        """Return where a file lies in the trash."""
        return f"{_folder(self.name)}/files/{path}"


def new_name(store: str, now: float) -> str:
    """Return a name that no entry has; names sort by time."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{store}-{secrets.token_hex(4)}"


def entries(storage: Storage, files: Iterable[StoredFile]) -> list[Entry]:
    """Return the entries among the files of a survey, oldest first; one that cannot be read is left alone."""
    found = []
    for file in files:
        parts = file.path.split("/")
        if len(parts) == 3 and parts[0] == TRASH and parts[2] == "entry.json":
            content = storage.read(file.path)
            entry = None if content is None else _decoded(parts[1], content)
            if entry is not None:
                found.append(entry)
    return sorted(found, key=lambda entry: (entry.at, entry.name))


def throw(storage: Storage, entry: Entry, hold: Hold) -> bool:
    """Move files into the trash; False, with nothing moved, where one of them is gone or was replaced.

    Raises StorageDown, DiskFull, and ClaimLost from `hold`.
    """
    before = {path: storage.read(path) for path in entry.paths if _is_manifest(path)}
    try:
        for path in entry.paths:
            hold()
            storage.copy(path, entry.kept(path))
    except FileNotFoundError:
        _clear(storage, entry.name)
        return False
    same = all(storage.read(path) == storage.read(entry.kept(path)) == was for path, was in before.items())
    if not same or None in before.values():
        _clear(storage, entry.name)
        return False
    reach(Edge.COPIED)
    storage.write(f"{_folder(entry.name)}/entry.json", _encoded(entry))
    reach(Edge.THROWN)
    _remove(storage, entry, entry.paths, hold)
    return True


def restore(storage: Storage, entry: Entry, hold: Hold) -> list[str]:
    """Move files back to where they were, to the byte; return the bundles that stay as they are there by now.

    Raises CorruptBundle, having removed nothing, where the trash lacks a file.
    """
    stands = [each.prefix for each in entry.thrown if _replaced(storage, entry, each)]
    left_out = {path for each in entry.thrown if each.prefix in stands for path in each.paths}
    for path in entry.paths:
        if path in left_out:
            continue
        hold()
        try:
            storage.copy(entry.kept(path), path)
        except FileNotFoundError as error:
            raise CorruptBundle(f"{_folder(entry.name)} is broken: {path} is missing") from error
    reach(Edge.BACK)
    drop(storage, entry, hold)
    return stands


def drop(storage: Storage, entry: Entry, hold: Hold) -> None:
    """Remove an entry for good: what it is first, so that no entry is ever there in part."""
    hold()
    storage.delete([f"{_folder(entry.name)}/entry.json"])
    _clear(storage, entry.name)


def finish(storage: Storage, entry: Entry, there: Mapping[str, StoredFile], hold: Hold) -> None:
    """Bring to an end what a dead collection or restore began with an entry: the entry is what is whole.

    `there` are the files of a fresh survey.
    """
    inside = [path for path in entry.paths if path in there]
    if len(inside) == len(entry.paths):  # whole in its place too: what comes next judges it anew
        drop(storage, entry, hold)
        return
    # What was written since, under the same name, is not what was taken.
    older = {path for path in inside if there[path].modified <= entry.at}
    gone = [each for each in entry.thrown if not _replaced(storage, entry, each)]
    if older:
        _remove(storage, entry, [path for each in gone for path in each.paths if path in older], hold)


def clear_remains(storage: Storage, files: Iterable[StoredFile], known: Collection[str], store: str) -> None:
    """Remove what a dead collection of this store copied into the trash without coming to an entry."""
    names = {file.path.split("/")[1] for file in files if file.path.startswith(f"{TRASH}/")}
    for name in sorted(names - set(known)):
        if f"-{store}-" in name:
            _clear(storage, name)


def entry_of(judged: Sequence[Judged], *, name: str, store: str, place: str, at: float, user: str) -> Entry:
    """Return the entry for what is taken of one place."""
    return Entry(
        name=name,
        store=store,
        place=place,
        at=at,
        user=user,
        thrown=tuple(_thrown(each.unit, each.because[0]) for each in judged),
    )


def units(entry: Entry) -> list[Unit]:
    """Return what an entry holds as it was in its place, without sizes and ages."""
    return [
        Unit(
            kind=UnitKind(each.kind),
            prefix=each.prefix,
            place=entry.place,
            files=tuple(StoredFile(path=path, size=0, modified=0.0) for path in each.paths),
        )
        for each in entry.thrown
    ]


def _thrown(unit: Unit, because: str) -> Thrown:
    return Thrown(
        kind=unit.kind.value,
        prefix=unit.prefix,
        because=because,
        paths=tuple(unit.ordered),
        size=unit.size,
    )


def _replaced(storage: Storage, entry: Entry, thrown: Thrown) -> bool:
    """Say whether another bundle lies by now where this one was."""
    manifest = thrown.paths[-1]
    if not _is_manifest(manifest):
        return False
    now = storage.read(manifest)
    return now is not None and now != storage.read(entry.kept(manifest))


def _remove(storage: Storage, entry: Entry, paths: Sequence[str], hold: Hold) -> None:
    """Remove files from where they were, manifests first, and the folders that this leaves empty."""
    ordered = [*filter(_is_manifest, paths), *(path for path in paths if not _is_manifest(path))]
    for start in range(0, len(ordered), _AT_ONCE):
        hold()
        storage.delete(ordered[start : start + _AT_ONCE])
    for each in entry.thrown:
        storage.prune(each.prefix)
    storage.prune(entry.place)


def _clear(storage: Storage, name: str) -> None:
    storage.remove(_folder(name))


def _folder(name: str) -> str:
    return f"{TRASH}/{name}"


def _is_manifest(path: str) -> bool:
    return path.rsplit("/", 1)[-1] == MANIFEST


def _encoded(entry: Entry) -> bytes:
    thrown: list[Json] = [
        {
            "kind": each.kind,
            "prefix": each.prefix,
            "because": each.because,
            "paths": list(each.paths),
            "size": each.size,
        }
        for each in entry.thrown
    ]
    value: dict[str, Json] = {
        "format": _FORMAT,
        "store": entry.store,
        "place": entry.place,
        "at": entry.at,
        "user": entry.user,
        "thrown": thrown,
    }
    return json.dumps(value, indent=1).encode()


def _decoded(name: str, content: bytes) -> Entry | None:
    try:
        value = json.loads(content)
        return Entry(
            name=name,
            store=str(value["store"]),
            place=str(value["place"]),
            at=float(value["at"]),
            user=str(value["user"]),
            thrown=tuple(
                Thrown(
                    kind=UnitKind(each["kind"]).value,
                    prefix=str(each["prefix"]),
                    because=str(each["because"]),
                    paths=tuple(map(str, each["paths"])),
                    size=int(each["size"]),
                )
                for each in value["thrown"]
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
