"""The queue in memory keeps the promises of the protocol."""

import pytest

from ad_platform.errors import BrokerDown
from ad_platform.queue.celery import step_of
from ad_platform.queue.memory import MemoryQueue


def test_a_higher_priority_is_taken_first_and_equals_in_order():
    queue = MemoryQueue()
    for job, priority in [("a", 0), ("b", 10), ("c", 10), ("d", -5)]:
        queue.ring(job, "default", priority)
    assert [queue.take() for _ in range(5)] == ["b", "c", "a", "d", None]


def test_a_queue_that_is_down_refuses_and_loses_nothing():
    queue = MemoryQueue()
    queue.ring("a", "default", 0)
    queue.down = True
    with pytest.raises(BrokerDown):
        queue.ring("b", "default", 0)
    with pytest.raises(BrokerDown):
        queue.depths(["default"])
    queue.down = False
    assert queue.depths(["default", "other"]) == {"default": 1, "other": 0}


def test_the_steps_of_the_broker_follow_the_priorities():
    steps = [step_of(priority) for priority in range(-100, 101)]
    assert steps == sorted(steps, reverse=True)
    assert (steps[0], steps[100], steps[-1]) == (9, 5, 0)
