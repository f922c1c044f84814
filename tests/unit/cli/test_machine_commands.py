"""Promises of `adctl status` and `adctl worker` on a real store without services."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace

import pytest

from ad_cli.exits import Exit
from ad_platform.devices import Devices
from ad_platform.errors import StoreMismatch
from ad_platform.records import WorkerRecord
from ad_platform.stack import lifecycle
from ad_platform.stack.control import ServiceState
from clientkit import Bench


@pytest.fixture
def two_slots(desk: Bench) -> None:
    facts = {"devices": ["NVIDIA H100", "NVIDIA H100"], **Devices().to_json()}
    worker = WorkerRecord(id="w1", node="here", pid=1, slots=2, detectors=("toy",), facts=facts)
    desk.store.workers.register(worker)


def test_status_shows_each_slot_with_what_runs_in_it(adctl, desk, two_slots, screw):
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "--device", "cpu")
    job = desk.lease().job

    rows = [line.split() for line in adctl("status").out.splitlines() if line.startswith("w1/")]

    assert [(row[0], row[2]) for row in rows] == [("w1/1", "busy"), ("w1/2", "free")]
    assert job.id[:8] in rows[0]
    assert "H100" in rows[1]


def test_status_names_a_paused_queue_and_how_to_get_the_pages(adctl, desk, two_slots):
    adctl("queue", "pause", "default")

    said = adctl("status")

    assert "default 0 (paused)" in said.out
    assert "adctl up" in said.out
    assert adctl("status", "--json").json["paused"] == ["default"]
    assert adctl("status", "--json").json["ui"] is None


def test_status_shows_the_services_also_when_the_store_does_not_fit(adctl, desk, monkeypatch):
    state = ServiceState(name="broker", state="running", pid=7, since=1.0)
    monkeypatch.setattr(lifecycle, "states", lambda settings: [state])

    def other_schema():
        raise StoreMismatch("the store is newer: upgrade adctl")

    monkeypatch.setattr(desk.client, "overview", other_schema)

    plain, as_json, brief = adctl("status"), adctl("status", "--json"), adctl("status", "-q")

    assert plain.code == as_json.code == Exit.MISMATCH
    assert "broker" in plain.out
    assert as_json.json["services"][0]["name"] == "broker"
    assert "upgrade adctl" in as_json.json["trouble"]
    assert brief.out == "broker running\n"


def test_a_worker_does_not_start_on_windows_or_under_a_name_that_is_no_files(adctl, monkeypatch):
    named = adctl("worker", "start", "--name", "../w")
    monkeypatch.setattr(sys, "platform", "win32")
    windows = adctl("worker", "start")

    assert (named.code, windows.code) == (Exit.USAGE, Exit.UNAVAILABLE)
    assert "'../w'" in named.err
    assert "use WSL" in windows.err


def test_a_short_worker_id_that_fits_several_names_them(adctl, desk):
    desk.online("gpu-1")
    desk.online("gpu-2")

    called = adctl("worker", "drain", "gpu")

    assert called.code == Exit.USAGE
    assert "fits several workers: " in called.err
    assert {worker.state for worker in desk.store.workers.roster()} == {"online"}


def test_draining_a_worker_of_another_machine_does_not_promise_its_return(adctl, desk):
    desk.online("w1")
    there = replace(desk.store.workers.roster()[0], id="w2", node="far")
    desk.store.workers.register(there)

    assert "adctl up starts it again" in adctl("worker", "drain", "w1").err
    assert "adctl up" not in adctl("worker", "drain", "w2").err


def test_db_check_says_which_side_to_upgrade_and_never_makes_a_store(adctl, desk):
    fits = adctl("db", "check", "--json")
    with closing(sqlite3.connect(desk.home / "store.db")) as connection, connection:
        connection.execute("UPDATE adctl_version SET version_num = '9999'")
    newer, as_json = adctl("db", "check"), adctl("db", "check", "--json")
    upgraded = adctl("db", "upgrade")
    (desk.home / "store.db").unlink()
    none = adctl("db", "check", "-q")

    assert (fits.code, fits.json["matches"]) == (Exit.OK, True)
    assert newer.code == as_json.code == upgraded.code == none.code == Exit.MISMATCH
    assert "upgrade adctl" in newer.err
    assert as_json.json["found"] == "9999"
    assert "make one: adctl db upgrade" in none.err
    assert not (desk.home / "store.db").exists()


def of_fleet(desk, number: int, **more: object) -> None:
    for n in range(number):
        values = {
            "queues": ("default",),
            "facts": {"devices": ["NVIDIA H100 80GB HBM3"], "adctl": "1"},
            **more,
        }
        name = f"gpu{n // 8:02}"
        desk.store.workers.register(
            WorkerRecord(id=f"{name}-{n % 8 + 1}", node=name, pid=1, slots=1, **values)  # type: ignore[arg-type]
        )


def test_status_of_a_fleet_is_told_by_node_and_fits_80_columns(adctl, desk, screw, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    of_fleet(desk, 40)
    adctl("submit", "train", "--model", "toy", "--data", str(screw), "--no-evaluate", "--queue", "big")
    said = adctl("status")
    rows = [line for line in said.out.splitlines() if line.startswith("gpu")]
    assert [row.split()[:5] for row in rows] == [[f"gpu{n:02}", "8", "0", "of", "8"] for n in range(5)]
    assert max(len(line) for line in said.out.splitlines() if not line.startswith("disk")) <= 80
    assert "1 job lies in the queue 'big', which no worker serves" in said.err
    assert len([line for line in adctl("status", "--slots").out.splitlines() if line.startswith("gpu")]) == 40
    value = adctl("status", "--json").json
    assert sorted(value["nodes"][0]["workers"]) == [f"gpu00-{n}" for n in range(1, 9)]
    assert value["nodes"][0]["slots"] == 8
    assert {each["queue"]: each["queued"] for each in value["loads"]} == {"big": 1, "default": 0}


def test_status_warns_of_mixed_versions(adctl, desk):
    of_fleet(desk, 2)
    desk.store.workers.register(WorkerRecord(id="old", node="n", pid=1, slots=1, facts={"adctl": "0"}))
    assert "workers run several versions of adctl: 0, 1" in adctl("status").err


def test_all_workers_of_a_node_are_drained_by_its_name(adctl, desk):
    of_fleet(desk, 10)
    called = adctl("worker", "drain", "gpu00", "--json")
    assert called.code == 0
    assert len(called.json) == 8
    states = {worker.id: worker.state for worker in desk.store.workers.roster()}
    assert [states[f"gpu00-{n}"] for n in (1, 8)] == ["draining", "draining"]
    assert states["gpu01-1"] == "online"
    assert adctl("worker", "drain", "gpu01-1").err == "gpu01-1 on gpu01 gives back what it runs and leaves\n"
    assert "draining" in adctl("status", "--json").out
