"""A knock at a worker's doorbell gets the owed rings made; a door where nobody answers costs no submit."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.errors import BrokerDown, StoreDown
from ad_platform.queue.doorbell import Doorbell, bells, knock
from ad_platform.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    found = environment.load({"ADCTL_HOME": str(tmp_path)})
    found.run_dir.mkdir(mode=0o700)
    yield found
    for door in bells(found).glob("*"):
        door.unlink()
    if bells(found).exists():
        bells(found).rmdir()
    found.run_dir.rmdir()


def test_a_knock_has_the_owed_rings_made_before_it_returns(settings: Settings):
    made: list[str] = []
    bell = Doorbell(settings, "here-1", lambda: made.append("ring"))
    try:
        assert knock(settings)
        assert knock(settings)
        assert made == ["ring", "ring"]
    finally:
        bell.close()


def test_a_broker_that_the_worker_finds_down_is_the_clients_to_hear_of(settings: Settings):
    def relay() -> None:
        raise BrokerDown("the broker at redis://x does not answer: refused")

    bell = Doorbell(settings, "here-1", relay)
    try:
        with pytest.raises(BrokerDown, match="redis://x does not answer"):
            knock(settings)
    finally:
        bell.close()


def test_nobody_answers_where_no_worker_runs_or_the_one_that_ran_has_left(settings: Settings):
    assert not knock(settings)
    Doorbell(settings, "here-1", lambda: None).close()
    assert not knock(settings)


def test_the_door_of_a_killed_worker_is_passed_by_and_taken_over_by_its_successor(settings: Settings):
    bells(settings).mkdir(mode=0o700)
    bell = Doorbell(settings, "here-1", lambda: None)
    (door,) = bells(settings).iterdir()
    bell.close()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(door))
    dead.close()
    assert not knock(settings)
    successor = Doorbell(settings, "here-1", lambda: None)
    try:
        assert knock(settings)
    finally:
        successor.close()


def test_a_stopped_worker_is_not_waited_for_when_another_one_answers(settings: Settings):
    bells(settings).mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(bells(settings) / "0"))
        stopped.listen()
        assert not knock(settings)
        bell = Doorbell(settings, "here-1", lambda: None)
        try:
            assert knock(settings)
        finally:
            bell.close()


def test_a_worker_whose_store_is_away_leaves_the_ring_to_the_client_and_answers_again_later(
    settings: Settings,
):
    away = threading.Event()
    away.set()

    def relay() -> None:
        if away.is_set():
            raise StoreDown("the store is away")

    bell = Doorbell(settings, "here-1", relay)
    try:
        assert not knock(settings)
        away.clear()
        assert knock(settings)
    finally:
        bell.close()


def test_workers_of_another_store_are_not_asked(settings: Settings, tmp_path: Path):
    other = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_DATABASE_URL": "postgresql://host/other"})
    bell = Doorbell(settings, "here-1", lambda: None)
    try:
        assert not knock(other)
    finally:
        bell.close()
