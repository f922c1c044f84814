"""The pages of sweeps listen where they did before, say where, and change nothing."""

import json
import os
import socket

import pytest

from ad_platform import settings as environment
from ad_platform.errors import Unavailable
from ad_platform.stack import dashboard, lifecycle, ports, sweep_pages
from ad_platform.stack.control import ServiceState
from ad_platform.stack.places import Places
from ad_platform.sweeps import dashboard as pages
from ad_platform.sweeps.dashboard import only_for_looking


@pytest.fixture
def here(tmp_path):
    made = environment.load({"ADCTL_HOME": str(tmp_path / "a home")})
    Places(made).stack.mkdir(parents=True)
    return made


@pytest.fixture
def served(monkeypatch) -> list[int]:
    """Let serving say where and end at once."""
    found: list[int] = []

    def serve(settings, host, port, listening):
        assert host == "127.0.0.1"
        found.append(port)
        listening()

    monkeypatch.setattr(pages, "serve", serve)
    return found


def test_the_port_stays_the_same_unless_it_is_taken(here, served):
    dashboard.run(here)
    dashboard.run(here)
    with socket.create_server(("127.0.0.1", served[0])):
        dashboard.run(here)
    dashboard.run(here)

    assert served[0] == served[1]
    assert served[2] != served[0]
    assert served[3] == served[2]
    assert json.loads(Places(here).dashboard.read_text()) == {"port": served[2], "pid": os.getpid()}


def test_it_leaves_the_port_of_the_other_pages_alone(here, served):
    taken = ports.free_from(f"{here.home}/sweeps")
    Places(here).state.write_text(json.dumps({"ui_port": taken}))

    dashboard.run(here)

    assert served != [taken]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"port": "x", "pid": 1}'])
def test_what_cannot_be_read_was_never_said(here, text):
    Places(here).dashboard.write_text(text)
    assert dashboard.kept(Places(here)) is None


def state(name="optuna", pid=0, how="stopped"):
    return ServiceState(name=name, state=how, pid=pid, since=0.0)


def test_only_the_process_that_runs_now_says_where_it_listens(here, monkeypatch):
    Places(here).dashboard.write_text('{"port": 23456, "pid": 7}')
    states = {"now": [state(pid=8, how="running")]}
    monkeypatch.setattr(lifecycle, "states", lambda settings: states["now"])
    assert sweep_pages.running(here) is None
    states["now"] = [state(pid=7, how="running")]
    assert sweep_pages.running(here) == sweep_pages.address(here) == "http://127.0.0.1:23456"
    states["now"] = [state("worker", 7, "running")]
    assert sweep_pages.running(here) is None
    with pytest.raises(Unavailable, match="know no pages of sweeps"):
        sweep_pages.address(here)


def test_while_nothing_runs_it_says_how_to_start_it(here):
    with pytest.raises(Unavailable, match="do not run; start them: adctl up"):
        sweep_pages.address(here)


def test_one_that_does_not_start_is_said_with_its_last_words(here, monkeypatch):
    Places(here).logs.mkdir()
    (Places(here).logs / "optuna.log").write_text("it is not there\n")
    monkeypatch.setattr(lifecycle, "states", lambda settings: [state()])

    class Control:
        def __init__(self, socket):
            self.started = []

        def start(self, name):
            assert name == "optuna"

        def states(self):
            return [state(how="fatal")]

    monkeypatch.setattr(sweep_pages, "Control", Control)
    with pytest.raises(Unavailable, match="does not start: it is not there"):
        sweep_pages.address(here)


def test_a_sweep_that_nobody_answers_about_has_no_page_of_its_own():
    assert sweep_pages.study_address("http://127.0.0.1:1", "screw") is None


def asked(method="GET", host="127.0.0.1:23456"):
    said: list[str] = []

    def app(environ, answer):
        answer("200 OK", [])
        return [b"page"]

    body = only_for_looking(app)(
        {"REQUEST_METHOD": method, "HTTP_HOST": host}, lambda status, headers: said.append(status[:3])
    )
    return said[0], b"".join(body)


def test_nothing_is_changed_through_the_pages():
    assert asked() == ("200", b"page")
    assert asked("HEAD")[0] == "200"
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        status, body = asked(method)
        assert status == "405"
        assert "adctl sweep" in json.loads(body)["reason"]


def test_a_page_of_another_site_cannot_pass_for_this_machine():
    assert asked(host="localhost:8080")[0] == "200"
    assert asked(host="[::1]:8080")[0] == "200"
    for host in ("evil.example:23456", "127.0.0.1.evil.example", ""):
        assert asked(host=host)[0] == "403"
