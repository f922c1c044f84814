"""Rings that are owed get made, and stay owed while the broker is down."""

from collections.abc import Sequence

import pytest

from ad_platform.errors import BrokerDown
from ad_platform.queue.memory import MemoryQueue
from ad_platform.queue.relay import relay
from ad_platform.records import OutboxEntry
from ad_platform.store.contract import Outbox


class FakeOutbox(Outbox):
    def __init__(self, jobs: Sequence[str]) -> None:
        self.entries = [
            OutboxEntry(seq=number, job_id=job, queue="default", priority=0)
            for number, job in enumerate(jobs, start=1)
        ]

    def owed(self, limit: int = 100) -> list[OutboxEntry]:
        return self.entries[:limit]

    def rung(self, seqs: Sequence[int]) -> None:
        self.entries = [entry for entry in self.entries if entry.seq not in seqs]

    def remind(self, silence: float) -> int:
        return 0

    def turn(self, owner: str, seconds: float) -> bool:
        return True


class DiesAfter(MemoryQueue):
    def __init__(self, rings: int) -> None:
        super().__init__()
        self.left = rings

    def ring(self, job_id: str, queue: str, priority: int) -> None:
        self.down = self.left == 0
        super().ring(job_id, queue, priority)
        self.left -= 1


def test_every_owed_ring_is_made_once():
    outbox, queue = FakeOutbox(["a", "b"]), MemoryQueue()
    assert relay(outbox, queue) == 2
    assert relay(outbox, queue) == 0
    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", None]


def test_a_broker_that_dies_midway_leaves_the_rest_owed():
    outbox = FakeOutbox(["a", "b", "c"])
    with pytest.raises(BrokerDown):
        relay(outbox, DiesAfter(2))
    assert [entry.job_id for entry in outbox.entries] == ["c"]


def test_a_crowded_queue_gets_no_more_and_owes_no_more():
    outbox, queue = FakeOutbox(["a", "b"]), MemoryQueue()
    for job in ("x", "y", "z"):
        queue.ring(job, "default", 0)
    assert relay(outbox, queue, full=3) == 2
    assert queue.depths(["default"]) == {"default": 3}
    assert outbox.entries == []


def test_a_queue_with_room_gets_what_is_owed():
    outbox, queue = FakeOutbox(["a", "b"]), MemoryQueue()
    queue.ring("x", "default", 0)
    assert relay(outbox, queue, full=3) == 2
    assert queue.depths(["default"]) == {"default": 3}
