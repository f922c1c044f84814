"""The newest whole checkpoints of a job stay, whatever lies broken beside them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from ad_platform.errors import LeaseLost
from ad_platform.records import Lease
from ad_platform.storage.checkpoints import stored_checkpoints
from ad_platform.storage.contract import Manifest
from ad_workers.retention import retain_newest
from job_stories import Stories


@pytest.fixture
def stories(tmp_path: Path):
    stories = Stories(tmp_path)
    yield stories
    stories.store.close()


def short(prefixes: Iterable[str]) -> list[str]:
    return [prefix.rsplit("/", 1)[1].lstrip("0") for prefix in prefixes]


def kept(stories: Stories, lease: Lease) -> list[str]:
    """Remove what is no longer needed, and return what stays: the storage and the store agree."""
    retain_newest(stories.storage, stories.store, lease)
    names = [
        prefix.rsplit("/", 1)[1].lstrip("0") for prefix in stored_checkpoints(stories.storage, lease.job_id)
    ]
    recorded = stories.store.artifacts.checkpoints(lease.job_id)
    assert short(record.prefix for record in recorded) == names
    return names


def again(stories: Stories, first: Lease, resumed_from: Manifest | None) -> Lease:
    """Let another attempt go on from a checkpoint."""
    stories.time += 100
    stories.store.leases.reap()
    lease = stories.lease(first.job, worker="w2")
    if resumed_from is not None:
        stories.store.leases.note(lease, {"resumed_step": 4, "resumed_from": resumed_from.prefix})
    return lease


def test_the_newest_two_stay(stories: Stories) -> None:
    lease = stories.lease(stories.submit())
    for last in (2, 4, 6):
        stories.checkpoint(lease, last)
    assert kept(stories, lease) == ["6-a1", "4-a1"]


def test_broken_ones_that_were_passed_over_never_push_out_the_whole_ones(stories: Stories) -> None:
    first = stories.lease(stories.submit())
    four = stories.checkpoint(first, 4)
    for last in (6, 8):
        stories.checkpoint(first, last, four)
    second = again(stories, first, four)
    assert kept(stories, second) == ["8-a1", "6-a1", "4-a1"]  # nothing of its own yet
    five = stories.checkpoint(second, 5, four)
    assert kept(stories, second) == ["5-a2", "4-a1"]
    stories.checkpoint(second, 7, five)
    assert kept(stories, second) == ["7-a2", "5-a2"]


def test_one_before_the_newest_is_one_that_can_be_used(stories: Stories) -> None:
    first = stories.lease(stories.submit())
    four = stories.checkpoint(first, 4)
    stories.checkpoint(first, 6, four)
    second = again(stories, first, four)
    stories.checkpoint(second, 9, four)
    assert kept(stories, second) == ["9-a2", "4-a1"]


def test_an_attempt_that_began_anew_leaves_nothing_of_those_before_it(stories: Stories) -> None:
    first = stories.lease(stories.submit())
    stories.checkpoint(first, 4)
    second = again(stories, first, None)
    stories.checkpoint(second, 2)
    assert kept(stories, second) == ["2-a2"]


def test_who_has_lost_the_lease_removes_nothing(stories: Stories) -> None:
    first = stories.lease(stories.submit())
    for last in (2, 4, 6):
        stories.checkpoint(first, last)
    again(stories, first, None)
    with pytest.raises(LeaseLost):
        retain_newest(stories.storage, stories.store, first)
    assert len(stored_checkpoints(stories.storage, first.job_id)) == 3
