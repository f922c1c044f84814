"""The tick keeps going whatever is down, logs arrive once, and holdings name what lies on the node."""

import os
import threading
from types import SimpleNamespace

import pytest

from ad_platform import settings as environment
from ad_platform.errors import StorageDown, StoreDown, StoreMismatch, StoreMoved
from ad_platform.queue.celery import own_queue
from ad_platform.queue.memory import MemoryQueue
from ad_workers.attempt_log import EVERY, AttemptLog
from ad_workers.holdings import PAUSE, advertise
from ad_workers.tick import Ticker
from clientkit import Bench, bench, make_category, migrated


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def table(template, tmp_path):
    with bench(template, tmp_path) as table:
        yield table


def ticker(table: Bench, *, idle: bool = True) -> tuple[Ticker, threading.Event]:
    drained = threading.Event()
    made = Ticker(
        store=table.store,
        queue=table.queue,
        worker="w1",
        silence=10.0,
        drain=drained.set,
        idle=lambda: idle,
    )
    return made, drained


@pytest.mark.parametrize("idle", [True, False])
def test_a_worker_with_a_free_slot_rings_itself(table, idle):
    table.online()
    ticker(table, idle=idle)[0].tick()
    assert table.queue.depths([own_queue("w1")]) == {own_queue("w1"): int(idle)}


def test_a_worker_told_to_drain_hears_of_it_though_the_queue_is_down(table):
    table.online()
    table.queue.down = True
    made, drained = ticker(table)
    made.tick()
    assert not drained.is_set()
    table.store.workers.drain("w1")
    made.tick()
    assert drained.is_set()


def test_housekeeping_survives_a_store_that_is_down_and_worse():
    stop, rounds = threading.Event(), iter([StoreDown("away"), ZeroDivisionError("a fault"), None])

    def beat(worker: str, load: object) -> str:
        trouble = next(rounds)
        if trouble is None:
            stop.set()
            return "online"
        raise trouble

    store = SimpleNamespace(workers=SimpleNamespace(beat=beat), require_schema=lambda: None)
    made = Ticker(store, MemoryQueue(), "w1", 10.0, drain=lambda: None, idle=lambda: False)  # type: ignore[arg-type]
    made.run(0.0, stop)
    assert next(rounds, "all made") == "all made"


def test_a_log_is_shipped_once_in_order_and_kept_while_the_storage_is_down(tmp_path):
    now, shipped, trouble = [0.0], [], [StorageDown("away")]

    def append(content: bytes) -> None:
        if trouble:
            raise trouble.pop()
        shipped.append(content)

    log = AttemptLog(tmp_path / "job.log", append, clock=lambda: now[0])
    log.file.write_bytes(b"one\n")
    log.ship()
    assert shipped == []
    log.ship()  # too soon
    assert shipped == []
    now[0] += EVERY
    log.ship()
    with log.file.open("ab") as file:
        file.write(b"two\n")
    log.ship(final=True)
    log.ship(final=True)
    assert shipped == [b"one\n", b"two\n"]


def test_every_category_below_the_data_root_is_offered_but_those_that_cannot_be_read(table, caplog):
    root = table.home / "data"
    make_category(root, category="screw")
    make_category(root, category="nut")
    empty = root / "parts" / "empty" / "train"
    empty.mkdir(parents=True)
    settings = environment.load({"ADCTL_HOME": str(table.home), "ADCTL_NODE": "here"})
    advertise(table.store, settings, threading.Event())
    held = {(holding.category, holding.path) for holding in table.store.workers.holdings(node="here")}
    assert held == {(name, os.fspath(root / "parts" / name)) for name in ("screw", "nut")}
    assert f"{empty.parent} is not offered" in caplog.text


def test_a_category_is_offered_once_a_store_that_was_away_answers(table, caplog, monkeypatch):
    make_category(table.home / "data")
    settings = environment.load({"ADCTL_HOME": str(table.home), "ADCTL_NODE": "here"})
    hold, away, waited = table.store.workers.hold, [StoreDown("away"), StoreDown("away")], []

    def held(holdings):
        if away:
            raise away.pop()
        hold(holdings)

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)
            return False

    monkeypatch.setattr(table.store.workers, "hold", held)
    advertise(table.store, settings, Stop())
    assert len(table.store.workers.holdings(node="here")) == 1
    assert waited == [PAUSE, PAUSE]
    assert caplog.text.count("is offered later: away") == 2


def test_a_worker_that_counts_as_gone_since_it_was_held_up_hears_of_it(table):
    table.online()
    made, drained = ticker(table)
    came_back = threading.Event()
    made.back = came_back.set
    made.tick()
    assert not came_back.is_set()
    table.store.workers.leave("w1")
    made.tick()
    assert came_back.is_set()
    assert not drained.is_set()


@pytest.mark.parametrize("error", [StoreMismatch("it is newer"), StoreMoved("it went elsewhere")])
def test_a_worker_whose_store_is_not_for_it_any_more_is_told_and_does_nothing_else(table, monkeypatch, error):
    table.online()
    made, drained = ticker(table)
    told = []
    made.outgrown = told.append

    def refuse() -> None:
        raise error

    monkeypatch.setattr(table.store, "require_schema", refuse)
    made.tick()
    assert told == [error]
    assert not drained.is_set()
    assert table.queue.depths([own_queue("w1")]) == {own_queue("w1"): 0}
