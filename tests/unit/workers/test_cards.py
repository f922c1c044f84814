"""Cards, by a faked NVML: who else holds them, which job is given which, and what a worker tells of that."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

from ad_platform.offers import Load
from ad_platform.records import Job, Lease, Room
from ad_workers.gpu import Gpu
from ad_workers.ledger import Ledger
from ad_workers.occupancy import Watch
from faked_nvml import GB, FakeNvml
from supervised import JOB

CARDS = tuple(Gpu(f"GPU-{n}", "Faked", 8192, "9.0") for n in range(3))


@pytest.fixture
def nvml() -> FakeNvml:
    return FakeNvml()


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is none of this one's: its parent is gone."""
    made = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -c 'import time; time.sleep(60)' >/dev/null 2>&1 & echo $!"],
        capture_output=True,
        text=True,
        check=True,
    )
    pid = int(made.stdout)
    yield pid
    psutil.Process(pid).kill()


def ledger(nvml: FakeNvml, *, free_mb: int = 50_000) -> Ledger:
    return Ledger(CARDS, Watch(nvml), free_mb=lambda: free_mb, all_mb=lambda: 64_000)


def lease(job_id: str = "job", attempt: int = 1, *, cpu: bool = False, **values: object) -> Lease:
    spec = replace(JOB.spec, device="cpu" if cpu else "auto")
    job: Job = replace(JOB, id=job_id, attempt=attempt, spec=spec, **values)  # type: ignore[arg-type]
    return Lease(job=job, attempt=attempt, worker="w", seconds=30.0)


def given(book: Ledger, one: Lease) -> list[str]:
    return [slot.uuid for slot in book.take(one, book.cards()) if slot]


def test_a_card_that_somebody_elses_process_holds_has_the_rest_and_the_process_is_named(nvml, stranger):
    nvml.hold("GPU-1", stranger, 5 * GB, free=3 * GB)
    first, second, _ = ledger(nvml).cards()
    assert (first.room, first.holders) == (Room(8192), ())
    assert second.room == Room(3072, roomy=False)
    (holder,) = second.holders
    user = psutil.Process(stranger).username()
    assert (holder.pid, holder.user, holder.mb) == (stranger, user, 5120)
    assert holder.name in {"python", "python3", psutil.Process(stranger).name()}
    assert f"(pid {stranger}, user {user}, 5120 MB)" in second.words
    assert "Faked GPU-1 has 3072 of 8192 MB free" in second.words


def test_what_a_desktop_draws_with_leaves_enough_for_a_job_that_asks_for_no_amount(nvml, stranger):
    nvml.drawing["GPU-0"] = [SimpleNamespace(pid=stranger, usedGpuMemory=GB // 2)]
    nvml.used["GPU-0"] = GB
    card = ledger(nvml).cards()[0]
    assert card.room == Room(7168, roomy=True)
    assert [holder.pid for holder in card.holders] == [stranger]


@pytest.mark.parametrize(("used", "room"), [(GB // 4, Room(8192)), (4 * GB, Room(4096, roomy=False))])
def test_memory_that_nobody_is_seen_to_hold_counts_unless_it_is_the_drivers_own(nvml, used, room):
    nvml.used["GPU-0"] = used  # by a process of another container, say
    card = ledger(nvml).cards()[0]
    assert card.room == room
    assert room.roomy or "processes that cannot be seen from here" in card.words


def test_a_process_of_another_container_is_named_by_what_is_known_of_it(nvml):
    nvml.hold("GPU-0", 2**22 + 17, None, free=GB)
    card = ledger(nvml).cards()[0]
    assert "held by a process (pid 4194321)" in card.words
    assert card.room.mb == 1024


def test_a_child_that_is_just_ending_is_no_stranger(nvml):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        nvml.hold("GPU-0", child.pid, 7 * GB, free=GB)
        nvml.hold("GPU-1", os.getpid(), 7 * GB, free=GB)
        cards = ledger(nvml).cards()
        assert [card.room for card in cards] == [Room(8192)] * 3
        child.communicate(b"\n")


def test_a_card_whose_driver_is_silent_has_no_room_and_is_asked_anew(nvml):
    nvml.lost.add("GPU-0")
    book = ledger(nvml)
    card = book.cards()[0]
    assert (card.room, card.problem) == (Room(0, roomy=False), "GPU is lost")
    assert "Faked GPU-0 tells nothing: GPU is lost" in card.words
    nvml.lost.clear()
    assert book.cards()[0].room == Room(8192)
    assert nvml.starts == 2
    book.cards()
    assert nvml.starts == 2  # to start it again and again takes time


def test_a_job_gets_all_its_cards_and_they_are_free_again_when_its_attempt_has_ended(nvml):
    book = ledger(nvml)
    two, one = lease("two", gpus=2), lease("one", gpus=1)
    assert given(book, two) == ["GPU-0", "GPU-1"]
    assert given(book, one) == ["GPU-2"]
    assert (book.idle, sorted(book.held)) == (False, ["one", "two"])
    assert [card.job for card in book.cards()] == ["two", "two", "one"]
    book.give_back(two)
    assert [card.job for card in book.cards()] == ["", "", "one"]
    assert book.rooms(book.cards()) == (Room(8192), Room(8192))


def test_a_card_that_a_job_of_ours_is_on_counts_as_if_the_job_had_ended(nvml):
    book = ledger(nvml)
    given(book, lease())
    nvml.hold("GPU-0", 4711, 8 * GB, free=0)
    assert book.cards()[0].room == Room(8192)


@pytest.mark.parametrize(
    ("asked", "cards"),
    [
        ({"memory_mb": 2000}, ["GPU-1"]),  # the bigger ones are left for those who need them
        ({"memory_mb": 4000}, ["GPU-0"]),
        ({}, ["GPU-0"]),
        ({"gpus": 2}, ["GPU-0", "GPU-2"]),
        ({"gpus": 2, "memory_mb": 3000}, ["GPU-0", "GPU-1"]),
        ({"cpu": True, "memory_mb": 40_000}, ["GPU-1"]),  # it does not need one
    ],
)
def test_a_job_is_given_the_cards_that_just_do(nvml, stranger, asked, cards):
    nvml.hold("GPU-1", stranger, 5 * GB, free=3 * GB)
    assert given(ledger(nvml), lease(**asked)) == cards


def test_an_attempt_that_was_overtaken_keeps_its_card_until_it_is_gone(nvml):
    book = ledger(nvml)
    old, new = lease(attempt=1), lease(attempt=2)
    assert [given(book, old), given(book, new)] == [["GPU-0"], ["GPU-1"]]
    book.give_back(old)
    assert [card.job for card in book.cards()] == ["", "job", ""]
    assert [slot.uuid for slot in book.held["job"] if slot] == ["GPU-1"]


def test_memory_of_the_machine_that_was_promised_is_not_promised_again():
    book = Ledger([None, None, None], free_mb=lambda: 50_000, all_mb=lambda: 64_000)
    assert book.memory_mb() == 50_000
    book.take(lease("a", memory_mb=30_000), book.cards())
    assert book.memory_mb() == 34_000
    book.take(lease("b", memory_mb=40_000), book.cards())
    assert book.memory_mb() == 0


def test_what_a_job_promised_of_its_card_is_not_of_the_machine(nvml):
    book = ledger(nvml)
    book.take(lease("a", memory_mb=8000), book.cards())
    assert book.memory_mb() == 50_000
    book.take(lease("b", memory_mb=60_000, cpu=True), book.cards())
    assert book.memory_mb() == 4000


def test_a_beat_tells_of_each_card_and_is_read_back_whole(nvml, stranger):
    nvml.hold("GPU-1", stranger, 5 * GB, free=3 * GB)
    book = ledger(nvml)
    given(book, lease())
    load = book.load()
    assert Load.from_json(load.to_json()) == load
    assert [(card.job, card.room.mb) for card in load.cards] == [("job", 8192), ("", 3072), ("", 8192)]
    assert Load.from_json({"cards": "none", "memory_mb": "much"}) == Load()
    newer = load.to_json()
    newer["cards"][0] |= {
        "heat": 80,
        "room": {"mb": 5, "roomy": False, "rows": 2},
        "holders": [{"pid": 1, "x": 2}],
    }
    first = Load.from_json({**newer, "fans": 3}).cards[0]
    assert (first.room, [one.pid for one in first.holders]) == (Room(5, roomy=False), [1])
