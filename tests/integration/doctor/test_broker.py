"""What lies in a real broker is held against the queued jobs and the workers that live."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ad_platform.doctor.clocks import clocks
from ad_platform.doctor.findings import Level
from ad_platform.doctor.rings import rings
from ad_platform.queue.celery import CeleryQueue, own_queue
from mortal_broker import MortalBroker, mortal_broker
from ward import Ward

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalBroker]:
    with mortal_broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture
def ward(broker: MortalBroker, tmp_path: Path) -> Iterator[Ward]:
    broker.start()
    broker.flush()
    made = Ward(tmp_path, {"ADCTL_BROKER_URL": broker.url})
    yield made
    made.close()


def keys(broker: MortalBroker) -> set[str]:
    client: Any
    with broker.client() as client:
        return {key.decode() for key in client.scan_iter()}


def test_the_queue_of_a_worker_that_is_gone_is_removed_and_those_of_others_stay(
    ward: Ward, broker: MortalBroker
) -> None:
    queue = CeleryQueue(broker.url)
    ward.register("alive", 1)
    ward.register("left", 1)
    ward.store.workers.leave("left")
    for worker in ("alive", "left", "n*", "n1"):  # one whose name is a pattern that fits another's
        queue.ring("", own_queue(worker), 0)
        queue.ring("", own_queue(worker), 100)
    queue.ring("x", "default", 0)
    ward.register("n1", 1)

    ward.mends(("dead-queue", "left"), ("dead-queue", "n*"), names=["broker"])

    left = keys(broker)
    assert not any("worker.left" in key or "worker.n*" in key for key in left)
    assert queue.depths([own_queue("alive"), own_queue("n1"), "default"]) == {
        own_queue("alive"): 2,
        own_queue("n1"): 2,
        "default": 1,
    }
    queue.ring("", own_queue("left"), 0)  # by who was only held up, on the connection it had
    assert queue.depths([own_queue("left")]) == {own_queue("left"): 1}


def test_a_queue_whose_worker_comes_back_meanwhile_is_left(ward: Ward, broker: MortalBroker) -> None:
    CeleryQueue(broker.url).ring("", own_queue("w9"), 0)
    (found,) = ward.look("broker")
    ward.register("w9", 1)
    assert found.mending is not None
    assert found.mending.do() == "its worker came back"
    assert CeleryQueue(broker.url).depths([own_queue("w9")]) == {own_queue("w9"): 1}


def test_wake_ups_for_no_job_are_told_and_harmless(ward: Ward, broker: MortalBroker) -> None:
    CeleryQueue(broker.url).ring("gone", "default", 0)
    (found,) = rings(ward.ground)
    assert found.level is Level.OK
    assert "1 wake-ups lie in queue default for no job" in found.words
    ward.stories.submit()
    assert list(rings(ward.ground)) == []


def test_a_job_whose_wake_up_was_lost_with_the_broker_is_rung_for(ward: Ward, broker: MortalBroker) -> None:
    job = ward.stories.submit()
    queue = CeleryQueue(broker.url)
    from ad_platform.queue.relay import relay

    assert relay(ward.store.outbox, queue) == 1
    broker.kill()
    broker.start()  # empty
    ward.wait(300)

    ward.mends(("unheard-job", job.id), names=["jobs"])

    assert queue.depths(["default"]) == {"default": 1}


def test_a_broker_that_is_down_is_left_to_the_look_that_says_so(ward: Ward, broker: MortalBroker) -> None:
    broker.kill()
    assert ward.look("broker") == []


def test_the_brokers_clock_is_compared_to_the_millisecond(ward: Ward) -> None:
    ward.stories.time = time.time() - 20
    found = {finding.subject: finding for finding in clocks(ward.ground)}
    assert found["the broker"].level is Level.OK
    assert found["the broker"].words.endswith(" ms")
    assert found["the store"].level is Level.PROBLEM  # a good part of a lease of 30 s
