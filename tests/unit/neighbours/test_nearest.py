"""The nearest row of a bank is the one that measuring every distance finds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ad_detectors.neighbours import nearest
from ad_detectors.neighbours.nearest import Bank


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 8), st.sampled_from([0.0, 100.0]))
def test_distances_are_the_least_of_all(queries: int, rows: int, dimensions: int, offset: float) -> None:
    bank, asked = random(rows, dimensions) + offset, random(queries, dimensions, seed=1) + offset
    every = torch.linalg.vector_norm(asked[:, None] - bank[None], dim=2)
    found = Bank(bank).nearest(asked)
    own = every.gather(1, found.indices[:, None])[:, 0]
    torch.testing.assert_close(found.distances, own, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(found.distances, every.amin(1), rtol=1e-4, atol=2e-3)


def test_a_bank_searched_in_parts_finds_what_it_finds_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, asked = Bank(random(500, 16)), random(90, 16, seed=1)
    whole = bank.nearest(asked)
    monkeypatch.setattr(nearest, "BLOCKS", 2)
    monkeypatch.setattr(nearest, "QUERIES", 30)
    parts = bank.nearest(asked)
    assert torch.equal(whole.indices, parts.indices)
    assert torch.equal(whole.distances, parts.distances)


def test_a_row_of_the_bank_is_its_own_nearest_at_no_distance() -> None:
    rows = random(300, 24) + 50.0
    found = Bank(rows).nearest(rows)
    assert found.indices.tolist() == list(range(300))
    assert not found.distances.any()


def test_the_closest_rows_come_nearest_first_and_are_no_more_than_there_are() -> None:
    bank = Bank(torch.tensor([[0.0], [5.0], [1.0], [3.0]]))
    assert bank.closest(torch.tensor([0.9]), 3).tolist() == [2, 0, 3]
    assert len(bank.closest(torch.tensor([0.9]), 9)) == 4
