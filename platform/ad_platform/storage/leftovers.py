"""What died while it wrote to a folder has left there, and what time it is where the storage lies."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import StorageDown
from ad_platform.storage.folder import TEMPORARY, FolderBlobs

PROBE = "doctor"  # the folder of files that are written to be looked at, and removed again


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A file that somebody began to write."""

    path: Path
    age: float  # seconds since it was last written to
    size: int


def local_root(url: str) -> Path | None:
    """Return the folder of a storage that is one, None for one elsewhere."""
    protocol, mark, rest = url.partition("://")
    if mark and protocol not in ("file", "local"):
        return None
    return Path(rest if mark else url).expanduser().absolute()


def unfinished(root: Path, older: float, now: float, go_on: Callable[[], bool]) -> Iterator[Unfinished]:
    """Yield the files below a folder that were begun and left alone for `older` seconds.

    Raises TimeoutError where `go_on` says no before all was seen.
    """
    for folder, _, names in os.walk(root):
        if not go_on():
            raise TimeoutError
        for name in names:
            if name.startswith(TEMPORARY):
                path = Path(folder) / name
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if now - found.st_mtime >= older:
                        yield Unfinished(path=path, age=now - found.st_mtime, size=found.st_size)


def storage_time(url: str) -> float | None:
    """Return the storage's clock in seconds since the epoch, by a file that is written and removed again.

    None where a storage does not say when a file was written. Raises StorageDown.
    """
    name = f"{PROBE}/{secrets.token_hex(8)}"
    root = local_root(url)
    if root is not None:
        blobs = FolderBlobs(root)
        blobs.put(name, b"adctl doctor")
        try:
            return (root / name).stat().st_mtime
        except OSError as error:
            raise StorageDown(f"cannot read {root / name}: {error.strerror}") from error
        finally:
            blobs.delete([name])
            with suppress(OSError):
                (root / PROBE).rmdir()
    from ad_platform.storage.engine import remote_blobs

    remote = remote_blobs(url)
    remote.put(name, b"adctl doctor")
    try:
        return remote.modified(name)
    finally:
        remote.delete([name])
