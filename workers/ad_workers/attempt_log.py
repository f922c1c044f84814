"""What an attempt prints: a file on this node, copied to the storage in chunks as it grows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import AdctlError
from ad_workers.boottime import boottime

log = logging.getLogger(__name__)

EVERY = 2.0  # seconds between two chunks
CHUNK = 1 << 20  # bytes of a chunk at most


@dataclass
class AttemptLog:
    """Ships what was added to the file since the last time."""

    file: Path
    append: Callable[[bytes], object]  # to the storage
    clock: Callable[[], float] = boottime

    def __post_init__(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.touch()
        self._shipped = self.file.stat().st_size
        self._next = 0.0

    def ship(self, final: bool = False) -> None:
        """Copy new bytes to the storage if it is time; a storage that is down keeps them for later."""
        if not final and self.clock() < self._next:
            return
        self._next = self.clock() + EVERY
        try:
            while added := self._read():
                self.append(added)
                self._shipped += len(added)
        except AdctlError as error:
            log.warning("the log %s stays here for now: %s", self.file, error)

    def _read(self) -> bytes:
        with self.file.open("rb") as file:
            file.seek(self._shipped)
            return file.read(CHUNK)
