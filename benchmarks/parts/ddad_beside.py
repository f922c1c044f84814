"""A process beside ours in which memory is handled as in any that does not ask for more."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, set_start_method
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from parts import ddad_sides as sides
from parts.ddad_calls import CALLS, Call

_here: dict[str, Any] = {}  # of the process beside: scene, cache, and calls by name


class Beside:
    """Calls made elsewhere, of the same scene and on as many threads, one after the other."""

    def __init__(self, scene: sides.Scene, cache: Path, threads: int) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (scene, cache, threads))

    def timed(self, name: str) -> tuple[float, Any]:
        """Return the seconds of a call and what it returned; what it needs is made before."""
        self._pool.submit(_prepare, name).result()
        return self._pool.submit(_timed, name).result()

    def seconds(self, name: str) -> Callable[[], float]:
        """Return a clock of a call, which is made three times: the lesser of the last two counts.

        While this process waits for its turn, and while it computes, a hypervisor may take back what it has
        freed (virtio's free page reporting); to ask for that again takes longer still.
        """

        def clock() -> float:
            return min([self.timed(name)[0] for _ in range(3)][1:])

        return clock

    def __enter__(self) -> "Beside":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def timed(call: Call) -> tuple[float, Any]:
    """Return the seconds of a call, and what it returned."""
    began = time.perf_counter()
    result = call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - began, result


def _begin(scene: sides.Scene, cache: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    set_start_method(None, force=True)  # or whoever decodes would start as slowly as this process did
    _here.update(scene=scene, cache=cache)


def _prepare(name: str) -> None:
    """Make what a call needs, and forget what another one needed."""
    if _here.get("name") != name:
        _here.pop("call", None)
        _here.update(name=name, call=CALLS[name](_here["scene"], _here["cache"]))


def _timed(name: str) -> tuple[float, Any]:
    del name  # prepared already
    seconds, result = timed(_here["call"])
    return seconds, None if isinstance(result, torch.Tensor) else result
