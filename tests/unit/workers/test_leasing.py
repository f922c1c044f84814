"""A worker of four cards leases all that a job asks for or nothing; its child is told of just its cards."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.storage.engine import open_storage
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from ad_workers import messages as say
from ad_workers.exits import Exit
from ad_workers.gpu import Gpu
from ad_workers.ledger import Ledger
from ad_workers.link import Link
from ad_workers.messages import Assignment, decode, encode
from ad_workers.nursery import Child
from ad_workers.occupancy import Watch
from ad_workers.slots import Slots
from clientkit import migrated
from faked_nvml import FakeNvml
from store_cases import SPEC, holding, submit, worker

CARDS = [Gpu(f"GPU-{n}", "Faked", 8192, "9.0") for n in range(4)]


class Nursery:
    """Starts children that do nothing until a test lets them end, or until they are told to stop."""

    def __init__(self) -> None:
        self.told: dict[str, Assignment] = {}
        self.over: dict[str, threading.Event] = {}
        self.orders: list[tuple[str, str]] = []

    def spawn(self, assignment: Assignment, log: Path) -> Child:
        ours, theirs = socket.socketpair()
        job = assignment.job_id
        child = Child(len(self.told), Link(ours), kill=lambda: self.over[job].set(), pid=4711)
        self.told[job], self.over[job] = assignment, threading.Event()
        threading.Thread(target=self._live, args=(job, Link(theirs), child), daemon=True).start()
        return child

    def _live(self, job: str, link: Link, child: Child) -> None:
        status = Exit.DONE
        while not self.over[job].wait(0.02):
            orders = [one for one in link.receive() if isinstance(one, say.Order)]
            self.orders += [(job, order.directive.value) for order in orders]
            if orders:
                status = Exit.DRAINED
                break
        if status is Exit.DONE:
            link.send(say.Done(result={}))
        child.status = status
        child.ended.set()
        link.close()


class Scene:
    """Slots on a real store, with a faked nursery."""

    def __init__(self, slots: Slots, nursery: Nursery, store: Store) -> None:
        self.slots, self.nursery, self.store = slots, nursery, store
        self.threads: list[threading.Thread] = []

    def wake(self, times: int = 1) -> None:
        """Wake slots at the same moment, as messages do, and wait until each runs a job or found none."""
        woken = [threading.Thread(target=self.slots.wake, args=("",), daemon=True) for _ in range(times)]
        before = len(self.nursery.told)
        for thread in woken:
            thread.start()
        self.threads += woken
        self.until(lambda: all(not t.is_alive() for t in woken) or self.running(woken, before))

    def running(self, woken: list[threading.Thread], before: int) -> bool:
        return sum(thread.is_alive() for thread in woken) == len(self.nursery.told) - before

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        passing = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if condition():
                return
            passing.wait(0.02)
        raise AssertionError("it did not come to that")

    def end(self, job: Job) -> None:
        self.nursery.over[job.id].set()
        self.until(lambda: job.id not in self.slots.ledger.held)

    def cards(self, job: Job) -> list[str]:
        return [card.uuid for card in self.nursery.told[job.id].devices]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def scene(template: Path, tmp_path: Path) -> Iterator[Scene]:
    yield from made(template, tmp_path, [*CARDS])


def made(template: Path, folder: Path, devices: list[Gpu | None]) -> Iterator[Scene]:
    shutil.copyfile(template, folder / "store.db")
    known = environment.load({"ADCTL_HOME": str(folder), "ADCTL_NODE": "n1"})
    store, nursery = open_store(known.database_url), Nursery()
    store.workers.hold([holding()])
    store.workers.register(replace(worker("w1"), slots=len(devices)))
    slots = Slots(
        settings=known,
        store=store,
        storage=open_storage(known.storage_url),
        nursery=nursery,  # type: ignore[arg-type]
        worker="w1",
        queues=frozenset({"default"}),
        detectors=frozenset({"ddad"}),
        devices=devices,
        grace=20.0,
        ledger=Ledger(devices, Watch(FakeNvml())),
    )
    scene = Scene(slots, nursery, store)
    yield scene
    slots.draining.set()
    for over in nursery.over.values():
        over.set()
    for thread in scene.threads:
        thread.join(60)
    store.close()


def test_a_job_takes_all_its_cards_at_once_and_waits_while_there_are_too_few(scene: Scene):
    small, big, other = submit(scene.store), submit(scene.store, gpus=4), submit(scene.store, gpus=2)
    scene.wake(4)
    assert sorted(scene.nursery.told) == sorted([small.id, other.id])
    assert scene.cards(small) == ["GPU-0"]
    assert scene.cards(other) == ["GPU-1", "GPU-2"]
    assert scene.slots.idle
    scene.end(small)
    scene.wake()
    assert big.id not in scene.nursery.told
    scene.end(other)
    scene.wake(2)
    assert scene.cards(big) == [card.uuid for card in CARDS]
    assert not scene.slots.idle
    told = scene.nursery.told[big.id]
    assert told.cuda == "GPU-0,GPU-1,GPU-2,GPU-3"
    assert decode(encode(told)) == told
    scene.end(big)
    assert scene.store.jobs.get(big.id).state is JobState.SUCCEEDED


def test_no_card_is_given_out_twice_however_many_wake_at_once(scene: Scene):
    jobs = [submit(scene.store, gpus=1) for _ in range(6)]
    scene.wake(8)
    given = [scene.cards(job)[0] for job in jobs if job.id in scene.nursery.told]
    assert sorted(given) == [card.uuid for card in CARDS]


def test_a_worker_without_cards_takes_none_that_asks_for_one(template: Path, tmp_path: Path):
    for scene in made(template, tmp_path, [None, None]):
        asks, plain = submit(scene.store, gpus=1), submit(scene.store, spec=replace(SPEC, device="auto"))
        scene.wake(2)
        assert list(scene.nursery.told) == [plain.id]
        assert (scene.cards(plain), scene.nursery.told[plain.id].cuda) == ([], None)
        assert scene.store.jobs.get(asks.id).state is JobState.QUEUED


def test_a_more_urgent_job_has_another_give_its_card_back_and_takes_it(scene: Scene):
    low = [submit(scene.store, preemptible=True, priority=n) for n in range(4)]
    scene.wake(4)
    scene.slots.make_room()
    high = submit(scene.store, priority=50)
    scene.slots.make_room()
    scene.until(lambda: low[0].id not in scene.slots.ledger.held)
    assert scene.nursery.orders == [(low[0].id, "drain")]
    back = scene.store.jobs.get(low[0].id)
    assert (back.state, back.error) == (JobState.QUEUED, f"preempted for job {high.id}")
    scene.wake()
    assert scene.cards(high) == scene.cards(low[0])
    scene.slots.make_room()
    assert all(scene.store.jobs.get(job.id).preempted_for is None for job in low)


def test_what_a_beat_tells_is_read_by_others(scene: Scene):
    from ad_platform import offers

    submit(scene.store, gpus=3)
    scene.wake()
    scene.store.workers.beat("w1", scene.slots.ledger.load().to_json())
    (one,) = scene.store.workers.roster()
    free = offers.free(one)
    assert free is not None
    assert (one.busy, len(free.cards), len(free.whole)) == (3, 1, 4)
