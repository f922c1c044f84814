"""Promises of `adctl submit` about what it says beforehand: the device and why, and how long it will take."""

import json
import re
from pathlib import Path

import pytest

from ad_platform.devices import Card, Devices
from ad_platform.records import Outcome, WorkerRecord
from ad_platform.states import AttemptOutcome
from clientkit import Bench

OLD_CARD = Card(name="Old card", problem="torch was built for newer ones; install torch 2.6")


def online(desk: Bench, *cards: Card, name: str = "w1", queue: str = "default") -> None:
    facts = Devices(cards=cards, torch="2.14").to_json()
    worker = WorkerRecord(
        id=name, node="here", pid=1, slots=1, detectors=("toy",), queues=(queue,), facts=facts
    )
    desk.store.workers.register(worker)


def finish(desk: Bench, seconds: float, device: str = "cpu") -> None:
    """Let the next job have run for a while."""
    lease = desk.lease()
    desk.store.leases.note(lease, {"device": device})
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"steps": 9}))
    with desk.store._db._engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(
            "UPDATE attempts SET started_at = ended_at - ? WHERE job_id = ?", (seconds, lease.job_id)
        )


def test_it_says_the_device_and_why_on_stderr_alone(adctl, desk: Bench, screw: Path):
    online(desk)
    call = ("submit", "train", "-m", "toy", "--data", str(screw))

    plain, quiet, as_json = adctl(*call), adctl(*call, "-q"), adctl(*call, "--json")

    assert "device: cpu (worker w1 on node here has no CUDA card)" in plain.err
    assert "device" not in plain.out
    assert quiet.err == ""
    assert as_json.err == ""
    assert as_json.json["device"]["kind"] == "cpu"


def test_a_card_that_cannot_be_used_is_an_error_unless_the_cpu_is_asked_for(adctl, desk: Bench, screw: Path):
    online(desk, OLD_CARD)
    call = ("submit", "train", "-m", "toy", "--data", str(screw))

    refused, taken = adctl(*call), adctl(*call, "--device", "cpu")

    assert (refused.code, taken.code) == (2, 0)
    assert refused.err.count("\n") == 1
    assert "the Old card on node here cannot be used: torch was built for newer ones" in refused.err
    assert "--device cpu" in refused.err
    assert "device: cpu (asked for)" in taken.err
    assert len(desk.store.jobs.search()) == 2


def test_only_workers_that_could_take_the_job_are_asked_for_their_cards(adctl, desk: Bench, screw: Path):
    online(desk, OLD_CARD, name="w1", queue="gold")
    online(desk, name="w2")

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--dry-run")

    assert "w2 on node here has no CUDA card" in called.out


def test_a_dry_run_shows_device_time_and_how_it_is_scheduled(adctl, desk: Bench, screw: Path):
    call = ("submit", "train", "-m", "toy", "--data", str(screw), "--group", "g", "--dry-run")

    plain, as_json = adctl(*call), adctl(*call, "--json")

    assert "unknown until a worker is online" in plain.out
    assert "nothing like it has run yet" in plain.out
    assert "group" in plain.out
    assert [job["scheduling"]["group"] for job in as_json.json] == ["g", "g"]
    assert as_json.json[0]["estimate"] is None
    assert as_json.err == ""


def test_the_time_comes_from_jobs_that_were_alike(adctl, desk: Bench, screw: Path):
    call = ("submit", "train", "-m", "toy", "--data", str(screw))
    adctl(*call)
    finish(desk, 240.0)
    finish(desk, 10.0)

    called = adctl(*call, "--seed", "1", "--json")
    plain = adctl(*call, "--seed", "2")

    assert [each["runs"] for each in called.json["estimates"]] == [1, 1]
    assert called.json["estimates"][0]["seconds"] == pytest.approx(240.0)
    assert "time: about 4m from 1 past run to train, then about 10s from 1 past run to evaluate" in plain.err


def test_ctrl_c_while_waiting_leaves_the_job_running_and_says_so(adctl, desk: Bench, screw: Path):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.client._pause = interrupt

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--wait")

    assert called.code == 130
    assert re.search(r"\bgo(es)? on\b", called.err)
    assert "adctl cancel" in called.err
    assert {job.state.value for job in desk.store.jobs.search()} == {"queued", "waiting"}


def test_waiting_with_json_prints_lines_of_json_and_nothing_else(adctl, desk: Bench, screw: Path):
    desk.client._pause = lambda seconds: finish(desk, 1.0)

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--wait", "--json")

    lines = [json.loads(line) for line in called.out.splitlines()]
    assert called.code == 0
    assert {line["kind"] for line in lines} == {"train", "evaluate"}
    assert lines[-1]["state"] == "succeeded"
