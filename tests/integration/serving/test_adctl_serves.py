"""`adctl serve` gives the scores of the evaluation, alone and in batches, and says what is wrong."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import fitted as fitting
import hostile_images as hostile
from services import free_port, unavailable
from serving_client import ANY_BODY, JSON, WRONG, encoded
from serving_home import Home, Running, metric, model_of, page, serving
from told_while_importing import SWALLOWS, told_at, with_site

OPTIONS = ("--max-request", "1", "--max-wait", "200", "--follow", "0.3", "--device", "cpu")


@pytest.fixture(scope="module")
def running(home: Home) -> Iterator[Running]:
    home.promote(0)
    with serving(home, *OPTIONS) as started:
        yield started


def scores(fitted: fitting.Fitted) -> dict[Path, float]:
    with (fitted.results / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    return {fitted.category / row["path"]: float(row["score"]) for row in rows}


def test_requests_at_the_same_time_are_scored_together_and_each_gets_its_own_score(
    home: Home, running: Running
) -> None:
    expected = scores(home.fits[0])
    alone = {path: running.server.ask(encoded(path))[0]["score"] for path in expected}
    assert alone == expected
    before = metric(running, "adctl_batch_pictures_count")
    asked = random.Random(0).choices(list(expected), k=48)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda path: running.server.ask(encoded(path))[0]["score"], asked))
    assert found == [expected[path] for path in asked]
    batches = metric(running, "adctl_batch_pictures_count") - before
    assert batches <= 24, "hardly any were scored together"


def test_what_is_wrong_in_a_batch_spoils_nothing_for_the_others(home: Home, running: Running) -> None:
    path, score = next(iter(scores(home.fits[0]).items()))

    def ask(number: int) -> float | int:
        if number % 3 == 0:
            return running.server.post(b'{"inputs": "junk"}')[0]
        return float(running.server.ask(encoded(path))[0]["score"])

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(12))) == [400 if number % 3 == 0 else score for number in range(12)]


@pytest.mark.parametrize(("body", "kind"), WRONG)
def test_wrong_input_is_refused_with_a_reason(running: Running, body: bytes, kind: str | None) -> None:
    status, text = running.server.post(body, kind)
    assert status == (400 if kind is None or kind.startswith(JSON) else 415), text
    assert len(json.loads(text)["message"]) > 20


def test_every_hostile_file_is_refused_with_its_reason(running: Running, tmp_path: Path) -> None:
    for bad in hostile.build(tmp_path):
        if bad.path.is_file() and bad.path.stat().st_size < 1 << 19:
            status, text = running.server.post(json.dumps({"inputs": [encoded(bad.path)]}).encode())
            assert status == 400, bad.path
            assert json.loads(text)["message"].startswith("cannot read picture 0: ")


@settings(max_examples=100, deadline=None)
@given(ANY_BODY)
def test_any_json_is_answered_or_refused_but_no_fault_of_the_server(running: Running, body: Any) -> None:
    status, text = running.server.post(json.dumps(body).encode())
    assert status in (200, 400), text
    json.loads(text)


def test_a_request_that_is_too_large_is_refused_before_it_is_read_whole(running: Running) -> None:
    status, text = running.server.post(b'{"inputs": "' + b"A" * (2 << 20) + b'"}')
    assert (status, json.loads(text)["message"][:29]) == (413, "a request is at most 1 MB; se")


def test_its_pages_say_how_it_is(home: Home, running: Running) -> None:
    assert page(running, "/health") == page(running, "/ping") == page(running, "/ready") == "ok"
    about = model_of(running)
    assert (about["name"], about["job"]) == (f"{fitting.MODEL}@champion", home.jobs[0].id)
    assert about["threshold"] == home.fits[0].result["operating_point"]["threshold"]  # type: ignore[index, call-overload]
    assert "folder" not in about
    assert metric(running, 'adctl_requests_total{status="200"}') > 0
    assert metric(running, 'adctl_requests_total{status="400"}') > 0
    assert metric(running, "adctl_requests_in_flight") == 0
    assert running.server.get("/nothing")[0] == 404


def test_a_new_champion_is_served_without_a_new_start(home: Home, running: Running) -> None:
    champion = home.promote(1)
    expected = scores(home.fits[1])
    assert expected != scores(home.fits[0])
    deadline = time.monotonic() + 120
    while model_of(running)["revision"] != champion.revision:
        assert time.monotonic() < deadline, running.log.read_text()
        time.sleep(0.1)
    assert {path: running.server.ask(encoded(path))[0]["score"] for path in expected} == expected
    assert metric(running, "adctl_model_loads_total") == 2


def test_an_end_by_signal_answers_what_was_begun_and_leaves_no_process(home: Home, running: Running) -> None:
    served = [job.id for job in home.jobs].index(model_of(running)["job"])
    path, score = next(iter(scores(home.fits[served]).items()))
    left = running.children()
    assert len(left) >= 3
    with ThreadPoolExecutor(6) as pool:
        # A batch is waited for longer than a request takes to arrive: these are in it when the end comes.
        asked = [pool.submit(running.server.ask, encoded(path)) for _ in range(6)]
        deadline = time.monotonic() + 60
        while metric(running, "adctl_requests_in_flight") < 1 and not any(each.done() for each in asked):
            assert time.monotonic() < deadline
        code = running.stop()
        answered = [each.result()[0]["score"] for each in asked if each.exception() is None]
    assert code == 0, running.log.read_text()
    assert answered
    assert set(answered) == {score}
    deadline = time.monotonic() + 30
    while any(each.is_running() and each.status() != "zombie" for each in left):
        assert time.monotonic() < deadline, [each.cmdline() for each in left if each.is_running()]
        time.sleep(0.1)
    assert "Traceback" not in running.log.read_text()


AFTER_A_FORK = """
import os, signal, sys

def told():
    if "litserve" in sys.modules:
        os.kill(os.getpid(), signal.SIGTERM)

os.register_at_fork(after_in_parent=told)
"""
WHERE_IT_IS_SWALLOWED: dict[str, Callable[[Path], str]] = {
    "an import": lambda folder: told_at(folder, "litserve.server", "SIGTERM", SWALLOWS),
    "a fork": lambda folder: with_site(folder, AFTER_A_FORK),
}


@pytest.fixture
def short() -> Iterator[Path]:
    """Give a folder with a name that is short enough for sockets below it."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("where", WHERE_IT_IS_SWALLOWED)
def test_told_to_end_while_it_loads_it_ends_at_once_though_what_is_raised_there_is_swallowed(
    home: Home, tmp_path: Path, short: Path, where: str
) -> None:
    pytest.importorskip("litserve")
    home.promote(0)
    environment = home.environment
    environment |= {"PYTHONPATH": WHERE_IT_IS_SWALLOWED[where](tmp_path), "TMPDIR": str(short)}
    command = [sys.executable, "-m", "ad_cli", "serve", fitting.MODEL, "--port", str(free_port())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "loading" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == f"http://127.0.0.1:{command[-1]}/invocations\n"
    assert list(short.iterdir()) == []


@pytest.mark.slow
def test_a_scorer_that_is_killed_is_started_again(home: Home) -> None:
    home.promote(0)
    path, score = next(iter(scores(home.fits[0]).items()))
    with serving(home, *OPTIONS) as started:
        scorer = max(started.children(), key=lambda each: each.memory_info().rss)
        scorer.kill()
        deadline = time.monotonic() + 120
        while True:
            status, text = started.server.post(json.dumps({"inputs": encoded(path)}).encode())
            if status == 200:
                break
            assert time.monotonic() < deadline, text
        assert json.loads(text)["predictions"][0]["score"] == score


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_process(home: Home) -> None:
    with serving(home, *OPTIONS) as started:
        left = started.children()
        os.kill(started.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while any(each.is_running() and each.status() != "zombie" for each in left):
            assert time.monotonic() < deadline, [each.cmdline() for each in left if each.is_running()]
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--port", "80"], 2, "from 1024 to 65535"),
        (["--host", "example.org"], 2, "--host is 127.0.0.1"),
        (["--max-batch", "0"], 2, "from 1 to 256"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(home: Home, options: list[str], code: int, says: str) -> None:
    home.promote(0)
    command = [sys.executable, "-m", "ad_cli", "serve", fitting.MODEL, *options]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)
    if done.returncode == 6:
        unavailable(done.stderr)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(home: Home) -> None:
    pytest.importorskip("litserve")
    import socket

    from ad_platform.errors import Unavailable
    from ad_workers.serving.server import Serving

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} cannot be had: .*--port N"):
            Serving(
                text="m",
                host="127.0.0.1",
                port=port,
                workers=1,
                max_batch=8,
                max_wait=0.005,
                most=1 << 20,
                device="cpu",
                every=0,
            )
