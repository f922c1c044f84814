"""Promises of `adctl ui`: an address that can be opened, or what to do to get one."""

import io
import socket
import sys
import webbrowser
from collections.abc import Iterator
from dataclasses import replace

import pytest

import study_cases
from ad_cli.commands.ui import has_screen
from ad_cli.exits import Exit
from ad_platform.stack import lifecycle, sweep_pages
from ad_platform.stack.control import ServiceState
from ad_platform.stack.places import Places
from clientkit import Bench


@pytest.fixture(autouse=True)
def opened(monkeypatch) -> list[str]:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    pages: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: bool(pages.append(page)) or True)
    return pages


@pytest.fixture
def port(desk: Bench, monkeypatch) -> Iterator[int]:
    """Let the services of this home look as if they ran, with pages on a port that answers."""
    state = ServiceState(name="mlflow", state="running", pid=7, since=0.0)
    monkeypatch.setattr(lifecycle, "states", lambda settings: [state])
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        file = Places(desk.client.settings).state
        file.parent.mkdir()
        file.write_text(f'{{"ui_port": {number}}}')
        yield number


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_while_nothing_runs_it_says_how_to_start_it(adctl):
    called = adctl("ui")

    assert (called.code, called.out) == (Exit.UNAVAILABLE, "")
    assert "adctl up" in called.err


def test_services_without_pages_are_told_apart_from_none(adctl, desk, monkeypatch):
    state = ServiceState(name="worker", state="running", pid=7, since=0.0)
    monkeypatch.setattr(lifecycle, "states", lambda settings: [state])

    called = adctl("ui")

    assert called.code == Exit.UNAVAILABLE
    assert "--no-ui" in called.err


def test_the_address_is_printed_and_nothing_opened_where_no_one_looks(adctl, port, opened):
    assert adctl("ui").out == f"http://127.0.0.1:{port}\n"
    assert adctl("ui", "--json").json == {"url": f"http://127.0.0.1:{port}"}
    assert opened == []


def test_on_a_terminal_with_a_screen_the_browser_opens_unless_told_not_to(adctl, port, opened, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Screen())

    adctl("ui", "--no-browser")
    adctl("ui", "-q")
    assert opened == []
    adctl("ui")
    assert opened == [f"http://127.0.0.1:{port}"]


def test_a_job_has_the_page_of_its_run_once_mlflow_was_told(adctl, desk, port, screw):
    desk.online()
    job = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "--json").json["jobs"][
        0
    ]
    early = adctl("ui", "@last")
    desk.lease()
    (shipment,) = desk.store.shipments.claim("shipper", 60.0)
    desk.store.shipments.done(shipment, "a1b2c3", 0)

    assert early.code == Exit.UNAVAILABLE
    assert job["id"] in early.err
    assert adctl("ui", job["id"]).out == f"http://127.0.0.1:{port}/#/runs/a1b2c3\n"


@pytest.fixture
def dashboard(port, desk, monkeypatch) -> str:
    """Let the pages of sweeps look as if they ran, on the port that answers."""
    place = Places(desk.client.settings)
    place.dashboard.write_text(f'{{"port": {port}, "pid": 9}}')
    states = [
        ServiceState(name=name, state="running", pid=pid, since=0.0)
        for name, pid in (("mlflow", 7), ("optuna", 9))
    ]
    monkeypatch.setattr(lifecycle, "states", lambda settings: states)
    monkeypatch.setattr(sweep_pages, "study_address", lambda base, name: KNOWN.get(name))
    return f"http://127.0.0.1:{port}"


KNOWN = {"screw-noise": "http://127.0.0.1:1/dashboard/studies/3"}


def test_the_pages_of_sweeps_have_an_address_of_their_own(adctl, dashboard):
    assert adctl("ui", "--sweeps").out == f"{dashboard}/dashboard\n"
    assert adctl("ui", "--sweeps", "--json").json == {"url": f"{dashboard}/dashboard"}


def test_a_sweep_has_a_page_there_once_optuna_was_told_of_it(adctl, desk, dashboard):
    for name in ("screw-noise", "young"):
        desk.store.studies.create(study_cases.study(study_cases.spec(), id=f"5{name}", name=name))

    assert adctl("ui", "Screw-Noise").out == f"{KNOWN['screw-noise']}\n"
    young = adctl("ui", "young", "--sweeps")
    assert young.out == f"{dashboard}/dashboard\n"
    assert "Optuna knows nothing of young yet" in young.err


def test_with_sweeps_a_word_is_a_sweep(adctl, desk, dashboard, screw):
    desk.online()
    job = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json").json["jobs"][0]

    assert adctl("ui", job["id"], "--sweeps").code == Exit.USAGE


def test_over_ssh_it_says_how_to_reach_the_pages(adctl, port, monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")

    assert f"ssh -L {port}:127.0.0.1:{port} here" in adctl("ui").err


@pytest.mark.parametrize(
    ("uri", "printed"),
    [
        ("https://kim:geheim@127.0.0.1:1/mlflow/", "https://127.0.0.1:1/mlflow\n"),
        ("databricks://profile", ""),
    ],
)
def test_a_server_elsewhere_is_shown_without_its_account(adctl, desk, uri, printed):
    desk.client.settings = replace(desk.client.settings, tracking_uri=uri)

    called = adctl("ui")

    assert called.out == printed
    assert called.code == (Exit.OK if printed else Exit.USAGE)
    assert "MLFLOW_TRACKING_URI" in called.err  # nothing answers there


def test_pages_that_answer_need_no_advice(adctl, desk, port):
    desk.client.settings = replace(desk.client.settings, tracking_uri=f"http://127.0.0.1:{port}")

    assert adctl("ui").err == ""


def test_a_screen_is_a_display_or_a_desktop_that_one_sits_at():
    assert has_screen({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert not has_screen({}, "linux")
    assert has_screen({}, "darwin")
    assert not has_screen({"SSH_CONNECTION": "x"}, "darwin")
