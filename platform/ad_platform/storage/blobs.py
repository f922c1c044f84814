"""The seam below bundles: files written whole or not at all, in a folder or in an object store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that lies somewhere below the root, finished or not."""

    path: str
    size: int  # bytes
    modified: float  # seconds since the epoch, by the clock of where it lies; infinite where that is not told


class Blobs(Protocol):
    """Files by path below a root; raises StorageDown and DiskFull, and FileNotFoundError where it says so."""

    def put(self, path: str, content: bytes) -> None:
        """Write a file: readers see the old content, the new content, or no file, never a part."""

    def put_file(self, path: str, source: Path) -> str:
        """Copy a local file in, as `put` does, and return the SHA-256 of what was read, hex."""

    def get(self, path: str) -> bytes:
        """Return a file's content; raise FileNotFoundError."""

    def get_file(self, path: str, target: Path) -> str:
        """Copy a file out to a local path and return its SHA-256, hex; raise FileNotFoundError."""

    def files(self, prefix: str) -> list[str]:
        """Return the paths of the files directly below a prefix, sorted; nothing there is an empty list."""

    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes of the folders directly below a prefix, sorted."""

    def tree(self, prefix: str) -> list[str]:
        """Return the paths of all files below a prefix, at any depth, sorted."""

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files, for good once this returns; those that are not there are no error."""

    def clear(self, prefix: str) -> None:
        """Remove everything below a prefix, and the prefix; nothing there is no error."""

    def survey(self, prefix: str) -> list[StoredFile]:
        """Return every file below a prefix, "" for the root, at any depth, unfinished ones too, by path."""

    def copy(self, path: str, to: str) -> None:
        """Put a file at another path too, as `put` does; raise FileNotFoundError.

        A folder may give the same bytes a second name: no file is ever changed where it lies.
        """

    def prune(self, prefix: str) -> None:
        """Remove the empty folders below a prefix, and the prefix if it is one; a file stays where it is."""
