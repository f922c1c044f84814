"""Processes that use the cache of decoded pictures, for tests that run several at once."""

import signal
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.cache import Wanted, mapped


def wanted(name: str, rows: int = 4, made: Path | None = None) -> Wanted[np.uint8]:
    """Return an array of 100 bytes a row; each making of it leaves a file in the folder `made`."""

    def make() -> Iterator[NDArray[np.uint8]]:
        if made is not None:
            (made / f"{name}-{len(list(made.iterdir()))}").touch()
        yield from (row(name, index) for index in range(rows))

    return Wanted(name, (rows, 100), np.dtype(np.uint8), make)


def row(name: str, index: int) -> NDArray[np.uint8]:
    """Return what a row of an array holds."""
    return np.full(100, (sum(map(ord, name)) + index) % 256, np.uint8)


def is_right(name: str, array: NDArray[np.uint8]) -> bool:
    """Say whether an array is the one of this name."""
    return all(bool((array[index] == row(name, index)).all()) for index in range(len(array)))


def together(folder: Path, made: Path, start: Barrier) -> None:
    """Map an array at the same moment as others; end with an error if it is not right."""
    start.wait(60)
    assert is_right("shared", mapped(folder, wanted("shared", 200, made)))


def half(folder: Path, begun: Event) -> None:
    """Write half an array, say so, and go no further."""

    def make() -> Iterator[NDArray[np.uint8]]:
        for index in range(20_000):
            if index == 10_000:
                begun.set()
                signal.pause()
            yield row("victim", index)

    mapped(folder, Wanted("victim", (20_000, 100), np.dtype(np.uint8), make))


def hold(folder: Path, held: Event, evicted: Event) -> None:
    """Map an array and read it after somebody has removed its file."""
    array = mapped(folder, wanted("held", 50_000))
    held.set()
    assert evicted.wait(60)
    assert is_right("held", array)
