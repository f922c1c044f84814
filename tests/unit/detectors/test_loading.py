"""Batches come in one order wherever one starts and however many threads read ahead."""

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from ad_detectors.data.loading import AHEAD, Batches
from ad_detectors.determinism import step_indices


class Numbered:
    """Seven pictures, each filled with its own number; remembers which batches were asked for."""

    size, paths = (2, 2), tuple("abcdefg")

    def __init__(self, broken: int | None = None) -> None:
        self.asked, self.broken = 0, broken

    def __len__(self) -> int:
        return 7

    def batch(self, indices: Sequence[int]) -> Tensor:
        self.asked += 1
        if self.broken in indices:
            raise OSError(f"picture {self.broken} cannot be read")
        filled = torch.tensor(list(indices), dtype=torch.uint8)
        return filled[:, None, None, None].expand(len(indices), 3, 2, 2).contiguous()


def seen(batches: Iterator[tuple[int, Tensor]] | Batches) -> list[tuple[int, list[int]]]:
    return [(step, batch[:, 0, 0, 0].tolist()) for step, batch in batches]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("start", [0, 1, 5, 11, 12])
def test_any_start_and_any_number_of_threads_give_the_same_batches(start: int, workers: int) -> None:
    expected = [(step, step_indices(3, step, 4, 7)) for step in range(start, 12)]
    batches = Batches(Numbered(), batch_size=4, seed=3, start=start, stop=12, workers=workers)
    assert len(batches) == len(expected)
    assert seen(batches) == expected
    assert seen(batches) == expected, "a second iteration begins anew"
    assert readers() == []


def test_a_batch_larger_than_all_pictures_repeats_them() -> None:
    ((_, first),) = seen(Batches(Numbered(), batch_size=9, seed=0, stop=1))
    assert sorted(set(first)) == list(range(7))


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_read_no_further_ahead_than_agreed(workers: int) -> None:
    data = Numbered()
    batches = iter(Batches(data, batch_size=2, seed=0, stop=100, workers=workers))
    next(batches)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert data.asked <= 2 + AHEAD * workers


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_goes_wrong_while_reading_reaches_the_consumer_at_its_step(workers: int) -> None:
    batches = iter(Batches(Numbered(broken=4), batch_size=1, seed=0, stop=50, workers=workers))
    bad = next(step for step in range(50) if step_indices(0, step, 1, 7) == [4])
    assert [next(batches)[0] for _ in range(bad)] == list(range(bad))
    with pytest.raises(OSError, match="picture 4 cannot be read"):
        next(batches)
    assert readers() == []


def test_no_thread_is_left_when_the_consumer_stops_early() -> None:
    class Enough(BaseException):
        pass

    for _ in Batches(Numbered(), batch_size=2, seed=0, stop=100, workers=3):
        assert readers(), "threads were reading"
        break
    assert readers() == []

    def consume() -> None:
        for step, _ in Batches(Numbered(), batch_size=2, seed=0, stop=100, workers=3):
            if step == 4:
                raise Enough

    with pytest.raises(Enough):
        consume()
    assert readers() == []


def test_the_random_numbers_of_the_training_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seen(Batches(Numbered(), batch_size=2, seed=0, stop=9, workers=2))
    assert torch.equal(torch.rand(3), expected)


def test_nothing_to_read_is_refused_and_nothing_left_to_do_is_not() -> None:
    class Empty(Numbered):
        def __len__(self) -> int:
            return 0

    with pytest.raises(ValueError, match="no pictures"):
        Batches(Empty(), batch_size=2, seed=0, stop=9)
    with pytest.raises(ValueError, match="at least 1"):
        Batches(Numbered(), batch_size=0, seed=0, stop=9)
    assert seen(Batches(Numbered(), batch_size=2, seed=0, start=9, stop=9, workers=2)) == []
