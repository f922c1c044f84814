"""Blobs that fail at a chosen write, standing in for a full disk or a process that dies."""

import errno
from collections.abc import Sequence
from pathlib import Path

from ad_platform.storage.blobs import Blobs, StoredFile
from ad_platform.storage.folder import refused


class Died(BaseException):
    """The process ended here: nothing after it is run."""


class FaultyBlobs:
    """Passes everything on, but for the n-th write, which fails as a full disk or as a death."""

    def __init__(self, blobs: Blobs, full_at: int | None = None, die_at: int | None = None) -> None:
        self.blobs, self.full_at, self.die_at = blobs, full_at, die_at
        self.writes = 0

    def put(self, path: str, content: bytes) -> None:
        self._count(path, len(content))
        self.blobs.put(path, content)

    def put_file(self, path: str, source: Path) -> str:
        self._count(path, source.stat().st_size)
        return self.blobs.put_file(path, source)

    def get(self, path: str) -> bytes:
        return self.blobs.get(path)

    def get_file(self, path: str, target: Path) -> str:
        return self.blobs.get_file(path, target)

    def files(self, prefix: str) -> list[str]:
        return self.blobs.files(prefix)

    def folders(self, prefix: str) -> list[str]:
        return self.blobs.folders(prefix)

    def tree(self, prefix: str) -> list[str]:
        return self.blobs.tree(prefix)

    def delete(self, paths: Sequence[str]) -> None:
        self.blobs.delete(paths)

    def clear(self, prefix: str) -> None:
        self.blobs.clear(prefix)

    def survey(self, prefix: str) -> list[StoredFile]:
        return self.blobs.survey(prefix)

    def copy(self, path: str, to: str) -> None:
        self._count(to, 0)
        self.blobs.copy(path, to)

    def prune(self, prefix: str) -> None:
        self.blobs.prune(prefix)

    def _count(self, path: str, size: int) -> None:
        self.writes += 1
        if self.writes == self.full_at:
            raise refused(OSError(errno.ENOSPC, "no space left on device"), path, size)
        if self.writes == self.die_at:
            raise Died
