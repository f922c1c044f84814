"""Arrays kept in memory up to a budget and in a temporary file beyond it."""

from __future__ import annotations

import mmap
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

BUDGET = 256 << 20  # bytes


class Spool:
    """Keeps arrays and hands back what stands for them; the file goes away with them."""

    def __init__(self, budget: int = BUDGET, folder: Path | None = None) -> None:
        """Keep up to `budget` bytes in memory; what is more goes to a file in `folder`, or where such go."""
        self._left = budget
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._maps: list[mmap.mmap] = []

    @property
    def spilled(self) -> int:
        """Return how many bytes lie in the file."""
        return self._file.tell() if self._file is not None else 0

    def keep(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the array itself, or a read-only map of the same numbers in the file.

        Plain writes, not a writable map: on a full disk those raise OSError, and a map kills the process.
        """
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            return array
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed below
            weakref.finalize(self, self._file.close)
        offset = self._file.tell()
        self._file.write(np.ascontiguousarray(array).data)
        self._file.flush()
        length = array.nbytes + offset % mmap.ALLOCATIONGRANULARITY
        window = mmap.mmap(
            self._file.fileno(), length, access=mmap.ACCESS_READ, offset=offset - (length - array.nbytes)
        )
        self._maps.append(window)
        kept = np.frombuffer(window, array.dtype, array.size, length - array.nbytes)
        return kept.reshape(array.shape)

    def release(self) -> None:
        """Let go of what was read of the file; it is read again when it is wanted again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for window in self._maps:
                window.madvise(mmap.MADV_DONTNEED)
