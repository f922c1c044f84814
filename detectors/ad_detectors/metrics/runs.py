"""Very many whole numbers, sorted in parts as they come and read back in order, one range at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ad_detectors.metrics.spool import Spool

LENGTH = 1 << 24  # numbers sorted at a time


class Runs:
    """Numbers added in any order, kept as sorted runs in a spool."""

    def __init__(self, spool: Spool, length: int = LENGTH) -> None:
        self.total = 0
        self._spool, self._length = spool, length
        self._runs: list[NDArray[Any]] = []
        self._loose: list[NDArray[Any]] = []
        self._waiting = 0  # how many numbers are loose

    def add(self, numbers: NDArray[Any]) -> None:
        """Take numbers of one dtype, the same in all calls; the array must not change afterwards."""
        self._loose.append(numbers)
        self._waiting += len(numbers)
        self.total += len(numbers)
        if self._waiting >= self._length:
            self._settle()

    def fork(self) -> Runs:
        """Return another that holds the same so far and shares the memory of it."""
        self._settle()
        other = Runs(self._spool, self._length)
        other.total, other._runs = self.total, list(self._runs)
        return other

    def between(self, low: int, high: int) -> list[NDArray[Any]]:
        """Return the sorted parts of the numbers from `low` to below `high`."""
        self._settle()
        parts: list[NDArray[Any]] = []
        for run in self._runs:
            # As numbers of the run's own type, or numpy would convert the whole run; `high` may not fit.
            start = 0 if low <= 0 else int(np.searchsorted(run, run.dtype.type(low)))
            fits = high <= np.iinfo(run.dtype).max
            end = int(np.searchsorted(run, run.dtype.type(high))) if fits else len(run)
            if end > start:
                parts.append(run[start:end])
        return parts

    def sample(self, every: int) -> NDArray[Any]:
        """Return every so many-th number of each run, unsorted: no gap between two hides many more."""
        self._settle()
        taken: list[NDArray[Any]] = []
        for run in self._runs:
            taken.append(run[every // 2 :: every].copy())
            self._spool.release()  # to pick a few numbers is to read the whole run
        return np.concatenate(taken) if taken else np.zeros(0, np.uint64)

    def _settle(self) -> None:
        """Sort what is loose into a run."""
        if self._waiting:
            run = np.concatenate(self._loose)
            run.sort()
            self._runs.append(self._spool.keep(run))
        self._loose, self._waiting = [], 0
