"""Copies every file of one storage into another, whole or not at all, and reads each back."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.storage.blobs import Blobs, StoredFile
from ad_platform.storage.engine import remote_blobs
from ad_platform.storage.folder import TEMPORARY, FolderBlobs
from ad_platform.storage.leftovers import local_root

Tell = Callable[[int, int], None]  # files done, and of how many
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class CopiedFiles:
    """What became of the files of a storage."""

    files: int
    size: int  # bytes
    copied: int  # files that were not there yet


def blobs_of(url: str) -> Blobs:
    """Open the files of a storage."""
    root = local_root(url)
    return remote_blobs(url) if root is None else FolderBlobs(root)


def weight(url: str) -> tuple[int, int]:
    """Return how many files a storage has, and their bytes; what was left half-written does not count."""
    found = [file for file in blobs_of(url).survey("") if not _unfinished(file.path)]
    return len(found), sum(file.size for file in found)


def strangers(source: str, target: str, limit: int = 3) -> list[str]:
    """Return files of the target that the source does not have, the first few."""
    known = {file.path for file in blobs_of(source).survey("")}
    found = (file.path for file in blobs_of(target).survey(""))
    return [path for path in found if path not in known and not _unfinished(path)][:limit]


def try_out(url: str) -> None:
    """Write a file, read it back and remove it; raise StorageDown or DiskFull where that cannot be done."""
    blobs, name, content = blobs_of(url), "migrate/probe", b"adctl migrate"
    blobs.put(name, content)
    try:
        if blobs.get(name) != content:
            raise CorruptBundle(f"{name} in the storage is not what was written to it")
    finally:
        blobs.delete([name])
        blobs.prune("migrate")


def move_files(source: str, target: str, tell: Tell = lambda done, of: None) -> CopiedFiles:
    """Copy what the target lacks, and read back every file there; may be repeated.

    A file is the same if its SHA-256 is. Raises CorruptBundle for one that is not what was written, DiskFull,
    StorageDown.
    """
    old, new = blobs_of(source), blobs_of(target)
    there = {file.path: file.size for file in new.survey("")}
    found = [file for file in old.survey("") if not _unfinished(file.path)]
    size, copied = 0, 0
    with tempfile.TemporaryDirectory(prefix="adctl-move-") as scratch:
        local = Path(scratch) / "file"
        for number, file in enumerate(sorted(found, key=_order), start=1):
            wanted = old.get_file(file.path, local)
            if there.get(file.path) != file.size or _hash(new, file.path) != wanted:
                new.put_file(file.path, local)
                copied += 1
                if _hash(new, file.path) != wanted:
                    raise CorruptBundle(f"{file.path} is not in the target's storage what was written to it")
            size += file.size
            tell(number, len(found))
    return CopiedFiles(files=len(found), size=size, copied=copied)


def _order(file: StoredFile) -> tuple[bool, str]:
    """Put manifests last: what has one is whole."""
    return file.path.endswith("manifest.json"), file.path


def _hash(blobs: Blobs, path: str) -> str:
    with tempfile.TemporaryDirectory(prefix="adctl-move-") as scratch:
        return blobs.get_file(path, Path(scratch) / "file")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a local file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _unfinished(path: str) -> bool:
    return path.rpartition("/")[2].startswith(TEMPORARY)
