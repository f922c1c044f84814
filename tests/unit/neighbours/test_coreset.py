"""A coreset is the one that the plain procedure picks, to the bit, however it was come by."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ad_detectors.errors import NotFinite
from ad_detectors.neighbours import coreset
from coreset_cases import CASES, Case, embedding, recorded


def plain(rows: Tensor, first: int, size: int) -> tuple[list[int], Tensor]:
    """Pick by the definition: after each pick measure every row anew."""
    picks, distances = [first], torch.full((len(rows),), float("inf"))
    while True:
        distances = torch.minimum(distances, torch.linalg.vector_norm(rows - rows[picks[-1]], dim=1))
        farthest = int(distances.argmax())
        if len(picks) == size or float(distances[farthest]) == 0.0:
            return picks, distances
        picks.append(farthest)


@pytest.fixture
def small_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rounds and products so small that few rows need many of them."""
    monkeypatch.setattr(coreset, "FRONT", 8)
    monkeypatch.setattr(coreset, "MOST_ROWS", 16)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_picks_are_those_of_anomalib_one_by_one(case: Case) -> None:
    rows, theirs = embedding(case), recorded()[case.name]
    ours = coreset.grow(rows, coreset.start(rows, theirs[0]), case.size)
    assert ours.picks.tolist() == theirs


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Return rows that may tie, repeat, be tiny, huge, or lie far from the origin."""
    count, dimensions = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    levels, scale = draw(st.sampled_from([1, 2, 3, 1000])), draw(st.sampled_from([1e-6, 1.0, 1e6]))
    offset = draw(st.sampled_from([0.0, 10.0, 1e4]))
    whole = torch.randint(0, levels, (count, dimensions), generator=random).float()
    return (whole + offset) * scale


@pytest.mark.usefixtures("small_front")
@settings(max_examples=80, deadline=None)
@given(matrices(), st.integers(0, 2**31), st.integers(1, 70))
def test_picks_and_distances_are_those_of_the_plain_procedure(rows: Tensor, first: int, size: int) -> None:
    found = coreset.grow(rows, coreset.start(rows, first % len(rows)), size)
    picks, distances = plain(rows, first % len(rows), min(size, len(rows)))
    assert found.picks.tolist() == picks
    assert torch.equal(found.distances, distances)


@pytest.mark.usefixtures("small_front")
@settings(max_examples=40, deadline=None)
@given(matrices(), st.lists(st.integers(1, 60), max_size=5))
def test_a_coreset_grown_in_steps_is_the_one_grown_at_once(rows: Tensor, steps: list[int]) -> None:
    last = max([30, *steps])
    at_once = coreset.grow(rows, coreset.start(rows, 0), last)
    cover = coreset.start(rows, 0)
    for size in [*sorted(steps), last]:
        cover = coreset.grow(rows, cover, size)
    assert torch.equal(cover.picks, at_once.picks)
    assert torch.equal(cover.distances, at_once.distances)


def test_two_threads_pick_what_one_picks() -> None:
    rows = torch.randn(30_000, 24, generator=torch.Generator().manual_seed(1))
    one = coreset.grow(rows, coreset.start(rows, 5), 200)
    torch.set_num_threads(2)  # the folder's fixture sets it back
    two = coreset.grow(rows, coreset.start(rows, 5), 200)
    assert torch.equal(one.picks, two.picks)
    assert torch.equal(one.distances, two.distances)


def test_growing_leaves_what_it_started_from_as_it_was() -> None:
    rows = torch.randn(500, 4, generator=torch.Generator().manual_seed(2))
    before = coreset.start(rows, 0)
    kept = before.distances.clone()
    coreset.grow(rows, before, 50)
    assert torch.equal(before.distances, kept)
    assert before.picks.tolist() == [0]


def test_rows_that_all_were_picked_or_equal_a_pick_end_the_picking() -> None:
    rows = torch.tensor([[1.0], [2.0], [1.0], [2.0], [5.0]])
    assert coreset.grow(rows, coreset.start(rows, 0), 5).picks.tolist() == [0, 4, 1]


def test_of_equally_far_rows_the_first_is_picked_even_if_all_tie() -> None:
    rows = torch.zeros(3000, 2)
    rows[7:] = torch.tensor([3.0, 4.0])
    assert coreset.grow(rows, coreset.start(rows, 0), 2).picks.tolist() == [0, 7]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_refused(wrong: float) -> None:
    rows = torch.zeros(10, 3)
    rows[4, 1] = wrong
    with pytest.raises(NotFinite, match="not finite"):
        coreset.start(rows, 0)


def test_a_random_projection_roughly_keeps_distances_and_is_the_same_for_a_seed() -> None:
    rows = torch.randn(50, 300, generator=torch.Generator().manual_seed(3))
    small = coreset.projected(rows, 128, torch.Generator().manual_seed(4))
    assert small.shape == (50, 128)
    assert torch.equal(small, coreset.projected(rows, 128, torch.Generator().manual_seed(4)))
    ratio = torch.pdist(small) / torch.pdist(rows)
    assert 0.7 < float(ratio.min()) < float(ratio.max()) < 1.3
