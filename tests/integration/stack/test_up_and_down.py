"""Promises of `adctl up` and `adctl down`, with the real services."""

import json
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from ad_platform.stack import leftovers
from ad_platform.stack.probes import broker_answers, wait_for
from one_machine import Machine

pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]


def test_up_starts_all_down_leaves_nothing_and_what_dies_comes_back(machine):
    adctl = machine("home with 100% odd; name")

    first = adctl.json("up", "--slots", "1")
    again = adctl.json("up")
    assert [one["name"] for one in first["services"]] == ["broker", "mlflow", "worker", "optuna"]
    assert [one["name"] for one in first["services"] if not one["pid"]] == ["optuna"]
    assert {one["pid"] for one in again["services"]} == {one["pid"] for one in first["services"]}
    assert again["ui"] == first["ui"]
    assert adctl.json("status")["slots"] == 1

    for folder in (adctl.home, adctl.places.settings.run_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
    broker = psutil.Process(adctl.services()["broker"]["pid"])
    assert broker.net_connections("inet") == []

    broker.kill()
    assert wait_for(lambda: adctl.services()["broker"]["pid"] not in (0, broker.pid), 30)
    assert wait_for(lambda: broker_answers(adctl.places.broker), 10)

    started = leftovers.marked(adctl.home)
    assert len(started) >= 4
    adctl("down")
    assert [process for process in started if leftovers.lives(process)] == []
    assert leftovers.marked(adctl.home) == []
    assert adctl.services() == {}
    assert adctl("down").stderr.strip() == "nothing was running"


def test_two_homes_at_once_do_not_disturb_each_other(machine):
    homes = [machine("a"), machine("b")]
    answers: dict[Path, Any] = {}

    def start(adctl: Machine) -> None:
        answers[adctl.home] = adctl.json("up", "--slots", "1", "--no-ui")

    threads = [threading.Thread(target=start, args=(adctl,)) for adctl in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pids = [{one["pid"] for one in answers[adctl.home]["services"] if one["pid"]} for adctl in homes]
    assert len(pids[0] | pids[1]) == 4

    homes[0]("down")
    assert leftovers.marked(homes[0].home) == []
    states = {one["name"]: one["state"] for one in homes[1].services().values()}
    assert states == {"broker": "running", "worker": "running", "optuna": "stopped"}
    homes[1]("down")
    assert leftovers.marked(homes[1].home) == []


def test_after_supervisord_was_killed_down_and_up_find_what_it_left(machine):
    adctl = machine("killed")
    adctl("up", "--slots", "1", "--no-ui")
    supervisord = int(adctl.places.pid_file.read_text())
    os.kill(supervisord, signal.SIGKILL)
    orphans = leftovers.marked(adctl.home)
    assert orphans

    adctl("up", "--slots", "1", "--no-ui")
    assert [process for process in orphans if leftovers.lives(process)] == []

    os.kill(int(adctl.places.pid_file.read_text()), signal.SIGKILL)
    adctl("down")
    assert leftovers.marked(adctl.home) == []


def test_services_that_lie_elsewhere_are_not_started(machine, redis_url):
    adctl = machine("elsewhere")
    adctl.env["ADCTL_BROKER_URL"] = redis_url

    called = adctl("up", "--slots", "1", "--no-ui", "--json")

    assert [one["name"] for one in json.loads(called.stdout)["services"] if one["pid"]] == ["worker"]
    assert "the broker is elsewhere" in called.stderr
    adctl("down")


def test_a_worker_that_cannot_start_is_said_with_its_last_words(machine):
    adctl = machine("broken")
    adctl.env["ADCTL_STORAGE_URL"] = "nosuchprotocol://somewhere"

    called = adctl("up", "--no-ui", code=4)

    assert "the worker does not start" in called.stderr
    assert "nosuchprotocol" in called.stderr
    adctl("down")
    assert leftovers.marked(adctl.home) == []


def test_a_run_folder_of_somebody_else_is_refused(machine, tmp_path):
    adctl = machine("stolen")
    adctl.places.settings.run_dir.symlink_to(tmp_path, target_is_directory=True)
    try:
        called = adctl("up", code=4)
    finally:
        adctl.places.settings.run_dir.unlink()

    assert "belongs to somebody else" in called.stderr


def test_two_ups_at_once_start_one_stack_and_what_left_comes_back_as_it_should(machine):
    adctl = machine("twice")
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(adctl.json("up", "--slots", "1", "--no-ui")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pids = [{one["name"]: one["pid"] for one in answer["services"]} for answer in answers]
    assert pids[0] == pids[1]

    # A short path, since sockets lie below it.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        elsewhere = Machine(adctl.home, {**adctl.env, "TMPDIR": short})
        assert "run with another TMPDIR" in elsewhere("up", code=4).stderr

    # Told to leave, it stays away until somebody starts the services; killed, it comes back by itself.
    worker = adctl.json("worker", "list")[0]["id"]
    adctl("worker", "drain", worker)
    assert wait_for(lambda: adctl.services()["worker"]["state"] == "exited", 30)
    drained = {one["about"]: one for one in adctl.json("doctor") if one["about"] == "services"}
    assert drained["services"]["level"] in ("ok", "warning")
    again = {one["name"]: one["pid"] for one in adctl.json("up")["services"]}
    assert again["worker"] not in (0, pids[0]["worker"])
    assert again["broker"] == pids[0]["broker"]
    os.kill(again["worker"], signal.SIGTERM)
    assert wait_for(lambda: adctl.services()["worker"]["pid"] not in (0, again["worker"]), 60)
    adctl("down")
    assert leftovers.marked(adctl.home) == []
