"""The batches of a training in their one order, read ahead by threads or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ad_detectors.api import Images
from ad_detectors.determinism import step_indices

if TYPE_CHECKING:
    from torch import Tensor

AHEAD = 2  # batches that wait for the consumer, for each thread


class Batches:
    """Yields (step, uint8 batch (B, 3, H, W)) for every step from `start` to before `stop`.

    What a step sees is `determinism.step_indices` alone: neither `start` nor `workers`, the number of threads
    that read ahead, changes a batch. May be iterated again, from `start` on. An iteration that is left early
    ends its threads; what went wrong in one of them is raised where its batch would have come.
    """

    def __init__(
        self, data: Images, *, batch_size: int, seed: int, start: int = 0, stop: int, workers: int = 0
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"a batch holds at least 1 picture, not {batch_size}")
        if len(data) == 0:
            raise ValueError("there are no pictures to make batches of")
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.start, self.stop, self.workers = start, stop, workers

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        return self._ahead() if self.workers > 0 else self._one_by_one()

    def _batch(self, step: int) -> Tensor:
        return self.data.batch(step_indices(self.seed, step, self.batch_size, len(self.data)))

    def _one_by_one(self) -> Iterator[tuple[int, Tensor]]:
        for step in range(self.start, self.stop):
            yield step, self._batch(step)

    def _ahead(self) -> Iterator[tuple[int, Tensor]]:
        steps = iter(range(self.start, self.stop))
        waiting: deque[tuple[int, Future[Tensor]]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        try:
            for step in steps:
                waiting.append((step, pool.submit(self._batch, step)))
                if len(waiting) > AHEAD * self.workers:
                    first, batch = waiting.popleft()
                    yield first, batch.result()
            while waiting:
                first, batch = waiting.popleft()
                yield first, batch.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
