"""What the services of one machine promise without being started: on other systems, and in their files."""

import configparser
import sys

import pytest

from ad_platform import settings as environment
from ad_platform.errors import MissingExtra, Unavailable
from ad_platform.stack import lifecycle, services
from ad_platform.stack.places import Places


def settings(tmp_path, **more):
    return environment.load({"ADCTL_HOME": str(tmp_path / "home"), **more})


def start(one):
    return lifecycle.up(one, slots=1, ui=True, migrate=lambda: None, registered=lambda pid: True)


def test_on_windows_up_says_that_it_does_not_run_and_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(Unavailable, match="does not run on Windows itself; use WSL"):
        start(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_light_client_can_ask_and_end_though_it_cannot_start(tmp_path, monkeypatch):
    monkeypatch.setattr(lifecycle, "find_spec", lambda name: None)
    here = settings(tmp_path)

    with pytest.raises(MissingExtra, match=r"adctl\[worker\]"):
        start(here)
    assert lifecycle.states(here) == []
    assert lifecycle.down(here).services == ()
    Places(here).stack.mkdir(parents=True)
    assert lifecycle.down(here).killed == 0


def test_down_of_a_home_that_was_never_started_makes_nothing(tmp_path):
    stopped = lifecycle.down(settings(tmp_path))

    assert (stopped.services, stopped.killed) == ((), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_was_drained_stays_away_and_everything_else_comes_back(tmp_path):
    here = settings(tmp_path)
    wanted = services.services(here, slots=2, ui_port=20_001)
    config = configparser.RawConfigParser()
    config.read_string(services.supervisor_config(Places(here), wanted))

    worker = config["program:worker"]
    assert (worker["autorestart"], worker["exitcodes"]) == ("unexpected", str(services.DRAINED))
    assert f"--drained-code {services.DRAINED} --slots 2" in worker["command"]
    assert {config[f"program:{name}"]["autorestart"] for name in ("broker", "mlflow")} == {"true"}
    assert worker["stopasgroup"] == "false"
    assert config["program:mlflow"]["stopasgroup"] == "true"
    assert [name for name in config if config[name].get("autostart") == "false"] == ["program:optuna"]
    assert "--host 127.0.0.1 --port 20001" in config["program:mlflow"]["command"]
