"""Batches with synthetic defects, made ahead in processes of their own while the network computes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress

import torch
from torch import Tensor

from ad_detectors.data.defects.planting import KINDS, Spoiled, spoil
from ad_detectors.determinism import derive

AHEAD = 2  # batches that wait for the consumer, for each process
PR_SET_PDEATHSIG = 1


def spoiled_batches(
    batches: Iterable[tuple[int, Tensor]], seed: int, kinds: Sequence[str] = KINDS, workers: int = 0
) -> Iterator[tuple[int, Tensor, Spoiled]]:
    """Yield (step, batch, the batch with a defect in each image) for batches (B, 3, H, W) of uint8.

    An image gets other defects at each step, which depend on (seed, step, its pixels) alone: neither the
    batch nor `workers`, the number of processes, changes one. Without workers the caller makes them itself.
    An iteration that is left early ends its processes; what went wrong in one is raised where its batch would
    have come.
    """
    if workers < 1:
        for step, batch in batches:
            yield step, batch, spoil(batch, derive(seed, "defects", step), kinds)
        return
    # Not forked: a child would inherit locks of torch's threads in whatever state they are.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),))
    waiting: deque[tuple[int, Tensor, Future[Spoiled]]] = deque()
    try:
        for step, batch in batches:
            waiting.append((step, batch, pool.submit(spoil, batch, derive(seed, "defects", step), kinds)))
            if len(waiting) > AHEAD * workers:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next(waiting: deque[tuple[int, Tensor, Future[Spoiled]]]) -> tuple[int, Tensor, Spoiled]:
    step, batch, made = waiting.popleft()
    return step, batch, made.result()


def _begin(parent: int) -> None:
    """Compute on one thread, leave Ctrl-C to the parent, and die with it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
