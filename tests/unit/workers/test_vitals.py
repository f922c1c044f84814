"""What an attempt tells of the memory that it took."""

import pytest
import torch

from ad_workers.vitals import peaks


def test_on_a_cpu_it_is_what_was_resident_and_nothing_of_cards():
    found = peaks()
    assert list(found) == ["peak_rss_mb"]
    assert found["peak_rss_mb"] > 10


def test_on_cards_it_is_the_most_that_was_reserved_on_one(monkeypatch: pytest.MonkeyPatch):
    reserved, allocated = [3 << 30, 5 << 30], [2 << 30, 1 << 30]
    for name, value in {
        "is_initialized": lambda: True,
        "device_count": lambda: 2,
        "max_memory_reserved": reserved.__getitem__,
        "max_memory_allocated": allocated.__getitem__,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    found = peaks()
    assert (found["peak_card_mb"], found["peak_card_allocated_mb"]) == (5120.0, 2048.0)
