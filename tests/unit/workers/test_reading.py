"""Promises of the count of pictures that a fit reads."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ad_workers.reading import Counted


class Four:
    size = (2, 2)
    paths = ("0.png", "1.png", "2.png", "3.png")

    def __len__(self) -> int:
        return 4

    def batch(self, indices: list[int]) -> Tensor:
        return torch.zeros(len(indices), 3, 2, 2, dtype=torch.uint8)


def test_every_picture_read_counts_also_when_threads_read_ahead():
    images = Counted(Four())

    with ThreadPoolExecutor(4) as threads:
        shapes = {tuple(batch.shape) for batch in threads.map(images.batch, [[0, 1, 1]] * 50)}

    assert shapes == {(3, 3, 2, 2)}
    assert images.read == 150
    assert (len(images), images.size, images.paths) == (4, (2, 2), Four.paths)
