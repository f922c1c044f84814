"""Promises about sharing: quotas, cards and memory asked for, strangers on cards, and making room."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import planning
from ad_platform.catalogue import DetectorEntry
from ad_platform.devices import Card, Devices
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.memory import megabytes, words
from ad_platform.offers import CardNow, Holder, Load
from ad_platform.records import Capabilities, Lease, Occupancy, Outcome, Room, WorkerRecord
from ad_platform.specs import JobSpec
from ad_platform.states import AttemptOutcome
from ad_platform.store.lease_contract import HELD_BACK_AFTER
from clientkit import Bench

TRAIN = ("submit", "train", "-m", "toy", "--no-evaluate", "--data")
H100 = Card(name="NVIDIA H100", uuid="GPU-0", memory_mb=81_000)


def online(desk: Bench, cards: int = 1, *, load: Load | None = None, name: str = "w1") -> None:
    """Let a worker be online with so many cards, or with one slot on the CPU."""
    devices = Devices(cards=(H100,) * cards, torch="2.14")
    facts = {"devices": ["NVIDIA H100"] * cards or ["cpu"], "memory_mb": 64_000, **devices.to_json()}
    told = {} if load is None else load.to_json()
    worker = WorkerRecord(
        id=name, node="here", pid=1, slots=max(cards, 1), detectors=("toy",), facts=facts, load=told
    )
    desk.store.workers.register(worker)


def lease(desk: Bench, *rooms: Room, whole: tuple[Room, ...] = ()) -> Lease:
    can = Capabilities(
        worker="w1", node="here", detectors=frozenset({"toy"}), cards=rooms, whole=whole, memory_mb=64_000
    )
    found = desk.store.leases.lease(can, 60.0)
    assert found is not None
    return found


def test_a_quota_is_set_in_parts_listed_with_what_is_used_and_lifted(adctl, desk: Bench, screw: Path):
    online(desk, 2)
    assert "no user has a quota" in adctl("quota", "list").out + adctl("quota", "list").err
    adctl("quota", "set", "kim", "--gpus", "2")
    both = adctl("quota", "set", "kim", "--jobs", "1")
    adctl(*TRAIN, str(screw))
    lease(desk, Room(81_000))

    (whole,) = adctl("quota", "list", "--json").json
    table = adctl("quota", "list").out.splitlines()
    less = adctl("quota", "set", "kim", "--gpus", "none", "--json").json

    assert both.out == "kim  at most 2 GPUs (0 in use) and 1 running job (0 now)\n"
    assert (whole["gpus"], whole["jobs"], whole["running"]) == (2, 1, {"gpus": 1, "jobs": 1})
    assert [row.split()[:7] for row in table[1:]] == [["kim", "1", "of", "2", "1", "of", "1"]]
    assert (less["gpus"], less["jobs"]) == (None, 1)
    assert adctl("quota", "list", "-q").out == "kim\n"
    assert adctl("quota", "clear", "KIM", "-q").out == "kim\n"
    assert adctl("quota", "list", "--json").json == []
    wrong = adctl("quota", "clear", "kin")
    assert (wrong.code, "kin" in wrong.err) == (2, True)


def test_why_tells_of_a_quota_that_is_used_up_and_submit_warns_of_one_that_is_too_small(
    adctl, desk: Bench, screw: Path
):
    online(desk, 4)
    adctl("quota", "set", "kim", "--jobs", "1", "--gpus", "2")
    first, second = (adctl(*TRAIN, str(screw), "-q").out.strip() for _ in range(2))
    big = adctl(*TRAIN, str(screw), "--gpus", "3")
    assert lease(desk, Room(81_000)).job_id == first

    assert "user kim runs 1 of 1 allowed: " + first in adctl("why", second).out
    assert adctl("why", second, "-q").out == "quota\n"
    adctl("quota", "set", "kim", "--jobs", "none", "--gpus", "1")
    assert "user kim has 1 of 1 GPUs allowed, and it takes 1" in adctl("why", second).out
    assert "warning: it asks for 3 GPUs, and user kim is allowed 2 at a time; " in big.err
    assert adctl("why", "@last", "-q").out == "over-quota\n"
    assert desk.queue.take() is not None
    adctl("quota", "clear", "kim")
    assert adctl("why", second, "-q").out == "ready\n"


def test_more_than_any_worker_has_is_said_at_once_and_by_why(adctl, desk: Bench, screw: Path):
    online(desk, 2)
    wide = adctl(*TRAIN, str(screw), "--gpus", "4")
    heavy = adctl(*TRAIN, str(screw), "--gpus", "2", "--memory", "100GB")
    on_cpu = adctl(*TRAIN, str(screw), "--device", "cpu", "--memory", "100GB")

    told = "it asks for 4 GPUs of one worker, and the fitting workers (w1) have 2 at most"
    assert f"warning: {told}; " in wide.err
    assert (
        "it asks for 102400 MB of memory of each of 2 GPUs, and the fitting workers (w1) have 81000"
        in heavy.err
    )
    assert "it asks for 102400 MB of memory, and the fitting workers (w1) have 64000 MB at most" in on_cpu.err
    job = desk.store.jobs.search(oldest_first=True)[0]
    assert told in adctl("why", job.id).out
    desk.store.workers.leave("w1")
    assert "all workers that were ever here (w1) have 2 at most" in adctl("why", job.id).out


def test_a_gpu_is_refused_at_once_where_no_worker_has_one(adctl, desk: Bench, screw: Path):
    online(desk, 0)
    called = adctl(*TRAIN, str(screw), "--gpus", "1")
    assert (called.code, "has no CUDA card" in called.err) == (2, True)


def test_what_is_asked_for_is_shown_and_asked_for_again_by_a_clone_and_a_file(
    adctl, desk: Bench, screw: Path, tmp_path: Path
):
    online(desk, 2)
    job = adctl(*TRAIN, str(screw), "-q", "--gpus", "2", "--memory", "20GB", "--preemptible").out.strip()
    shown = adctl("show", job).out
    file = tmp_path / "run.yaml"
    file.write_text(adctl("show", job, "--config").out)
    dry = adctl("submit", "train", "--config", str(file), "--dry-run", "--json").json[0]["scheduling"]
    clone = adctl("submit", "train", "--from", job, "--memory", "0", "-q").out.strip()

    for line in ("gpus         2", "memory       20GB", "preemptible  it may make room"):
        assert line in shown
    assert (dry["gpus"], dry["memory_mb"], dry["preemptible"]) == (2, 20_480, True)
    again = desk.store.jobs.get(clone)
    assert (again.gpus, again.memory_mb, again.preemptible) == (2, 0, True)


def test_a_training_of_two_cards_is_evaluated_on_one(adctl, desk: Bench, screw: Path):
    online(desk, 2)
    jobs = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--gpus", "2", "--json").json["jobs"]
    assert [job["gpus"] for job in jobs] == [2, 1]


def learned(desk: Bench, took: float, *rooms: Room) -> JobSpec:
    """Let the next job have told what it took."""
    held = lease(desk, *rooms)
    desk.store.leases.note(held, {"peak_card_mb": took, "device": "cuda"})
    desk.store.leases.finish(held, Outcome(outcome=AttemptOutcome.SUCCEEDED, result={}))
    return held.job.spec


def test_what_jobs_like_it_took_is_asked_for_where_nobody_says_an_amount(adctl, desk: Bench, screw: Path):
    online(desk, 1)
    before = adctl(*TRAIN, str(screw))
    learned(desk, 10_000.0, Room(81_000))
    after = adctl(*TRAIN, str(screw), "--seed", "1")
    shown = adctl("show", "@last").out
    other = adctl(*TRAIN, str(screw), "--imgsz", "128", "--dry-run", "--json").json[0]["scheduling"]
    own = adctl(*TRAIN, str(screw), "--memory", "5GB", "--dry-run", "--json").json[0]["scheduling"]
    none = adctl(*TRAIN, str(screw), "--memory", "0", "--dry-run", "--json").json[0]["scheduling"]

    assert "memory" not in before.err
    asked = "12512MB (learned from 1 past run like it, which took up to 10000 MB of a card)"
    assert f"memory: {asked}; another amount: --memory SIZE" in after.err
    assert asked in shown
    assert (other["memory_mb"], own["memory_mb"], none["memory_mb"]) == (0, 5120, 0)
    assert own["memory_from"] == none["memory_from"] == ""


def test_what_was_learned_on_a_bigger_card_keeps_nothing_from_the_biggest_there_is(
    adctl, desk: Bench, screw: Path
):
    online(desk, 1)
    adctl(*TRAIN, str(screw))
    learned(desk, 80_500.0, Room(81_000))
    adctl(*TRAIN, str(screw), "--seed", "1")
    assert desk.store.jobs.find("@last").memory_mb == 81_000
    assert adctl("why", "@last", "-q").out == "ready\n"


def test_nothing_is_learned_for_what_may_compute_on_a_cpu(adctl, desk: Bench, screw: Path):
    online(desk, 1)
    adctl(*TRAIN, str(screw))
    learned(desk, 10_000.0, Room(81_000))
    online(desk, 0, name="w2")
    for device, memory in (("auto", 0), ("cpu", 0), ("cuda", 12_512)):
        adctl(*TRAIN, str(screw), "--device", device)
        assert desk.store.jobs.find("@last").memory_mb == memory


def test_a_card_that_strangers_hold_is_named_with_them_by_why_status_and_worker_list(
    adctl, desk: Bench, screw: Path
):
    who = Holder(pid=4711, name="python3", user="bob", mb=70_000)
    held = CardNow(
        uuid="GPU-0", name="NVIDIA H100", memory_mb=81_000, room=Room(11_000, roomy=False), holders=(who,)
    )
    online(desk, 1, load=Load(cards=(held,), memory_mb=60_000))
    job = adctl(*TRAIN, str(screw), "-q").out.strip()

    told = (
        "NVIDIA H100 GPU-0 has 11000 of 81000 MB free, the rest is held by python3 (pid 4711, user bob, "
        "70000 MB)"
    )
    why = adctl("why", job)
    assert f"it takes a card that is mostly free, and {told} (worker w1); " in why.out
    assert adctl("why", job, "-q").out == "taken\n"
    assert f"w1: {told}" in adctl("worker", "list").err
    status = adctl("status")
    assert f"w1: {told}" in status.err
    assert [line.split()[2] for line in status.out.splitlines() if line.startswith("w1/1")] == ["held"]
    small = adctl(*TRAIN, str(screw), "--memory", "10GB", "-q").out.strip()
    assert adctl("why", small, "-q").out == "ready\n"
    free = replace(held, room=Room(81_000), holders=())
    desk.store.workers.beat("w1", Load(cards=(free,), memory_mb=60_000).to_json())
    assert adctl("why", job, "-q").out == "ready\n"


def test_why_tells_of_cards_that_are_held_back_for_a_bigger_job(
    adctl, desk: Bench, screw: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ad_platform.store.holding_back.HELD_BACK_AFTER", -HELD_BACK_AFTER)
    online(desk, 2)
    adctl(*TRAIN, str(screw), "-q")
    lease(desk, Room(81_000), Room(81_000))
    big = adctl(*TRAIN, str(screw), "--gpus", "2", "-q").out.strip()
    small = adctl(*TRAIN, str(screw), "--seed", "5", "-q").out.strip()
    can = Capabilities(
        worker="w1",
        node="here",
        detectors=frozenset({"toy"}),
        cards=(Room(81_000),),
        whole=(Room(81_000),) * 2,
    )
    assert desk.store.leases.lease(can, 60.0) is None

    assert f"the free cards of worker w1 are held back for job {big}" in adctl("why", small).out
    assert "which asks for 2 at once and has waited long" in adctl("why", small).out
    assert "1 of 2 slots of worker w1 are busy with" in adctl("why", big).out
    assert ", and it asks for 2 at once" in adctl("why", big).out
    urgent = adctl(*TRAIN, str(screw), "--priority", "1", "-q").out.strip()
    assert adctl("why", urgent, "-q").out == "ready\n"


def test_why_of_both_tells_who_makes_room_for_whom(adctl, desk: Bench, screw: Path):
    online(desk, 1)
    low = adctl(*TRAIN, str(screw), "--preemptible", "-q").out.strip()
    held = lease(desk, Room(81_000))
    high = adctl(*TRAIN, str(screw), "--priority", "5", "--seed", "1", "-q").out.strip()
    can = Capabilities(
        worker="w1", node="here", detectors=frozenset({"toy"}), whole=(Room(81_000),), memory_mb=64_000
    )
    desk.store.leases.preempt(Occupancy(can=can, free=(), held={low: (Room(81_000),)}))

    assert f"it makes room for job {high} (train toy on parts/screw) of priority 5" in adctl("why", low).out
    told = adctl("why", high).out
    assert f"job {low} (train toy on parts/screw) makes room for it on worker w1: its priority is 0" in told
    assert adctl("why", high, "-q").out.split()[0] == "making-room"
    desk.store.leases.give_back(held, "preempted", preempted=True)
    assert re.search(rf"was given back after \d+s: preempted for job {high}\n", adctl("why", low).out)
    assert f"preempted  reason=preempted for job {high} by={high}" in adctl("show", low).out


@pytest.mark.parametrize(
    ("text", "mb"),
    [("800MB", 800), ("20GB", 20_480), ("1.5g", 1536), (" 2 TiB ", 2 * 1024**2), ("0", 0), ("0GB", 0)],
)
def test_an_amount_of_memory_is_read_and_written_the_same(text: str, mb: int):
    assert megabytes(text) == mb
    assert megabytes(words(mb)) == mb


@pytest.mark.parametrize("text", ["20", "GB", "-5GB", "1e3MB", "", "99999999TB", "5 apples"])
def test_what_is_no_amount_of_memory_says_how_one_is_written(text: str):
    with pytest.raises(InvalidValue, match="800MB or 20GB"):
        megabytes(text)


def test_cards_that_a_detector_would_leave_idle_are_refused() -> None:
    planning.check_parallel(DetectorEntry(name="spread", parallel=("fit",)), 8)
    planning.check_parallel(DetectorEntry(name="single"), 1)
    planning.check_parallel(DetectorEntry(name="single"), None)
    with pytest.raises(InvalidRequest, match="'single' fits on one GPU: 4 would leave 3 idle; use --gpus 1"):
        planning.check_parallel(DetectorEntry(name="single"), 4)
