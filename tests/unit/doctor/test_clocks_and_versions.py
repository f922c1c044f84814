"""Clocks are compared to the millisecond, and versions where they work together."""

import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ad_platform.doctor import places
from ad_platform.doctor.clocks import compared
from ad_platform.doctor.findings import Level
from ad_platform.doctor.versions import described, mixed
from ad_platform.doctor.web import greet
from ad_platform.records import WorkerRecord
from ward import Ward


def test_a_clock_is_judged_by_seconds_and_by_the_lease():
    assert compared(1000.0, 1000.9, "the store", 30.0).level is Level.OK
    ahead = compared(1000.0, 1003.0, "the store", 30.0)
    assert (ahead.level, ahead.identity) == (Level.WARNING, ("clock", "the store"))
    assert "3,000 ms ahead of the store" in ahead.words
    behind = compared(1011.0, 1000.0, "the broker", 30.0)
    assert behind.level is Level.PROBLEM
    assert "11,000 ms behind the broker" in behind.words
    assert compared(1000.0, 1003.0, "MLflow", 30.0, unsure=2.5).level is Level.OK  # a slow answer


@pytest.fixture
def mlflow_server() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        ahead, body = 0.0, b"3.17.2"

        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_server_says_what_time_it_is_and_which_mlflow_it_is(mlflow_server):
    uri = f"http://127.0.0.1:{mlflow_server.server_port}"
    greeting = greet(uri, {})
    assert greeting is not None
    assert greeting.version == "3.17.2"
    assert greeting.date == pytest.approx(time.time(), abs=2.5)
    assert greet("http://127.0.0.1:1", {}) is None


def test_servers_with_clocks_apart_and_other_versions_are_named(tmp_path, mlflow_server):
    pytest.importorskip("mlflow")
    mlflow_server.RequestHandlerClass.ahead = 100.0
    mlflow_server.RequestHandlerClass.body = b"2.9.1"
    uri = f"http://127.0.0.1:{mlflow_server.server_port}"
    ward = Ward(tmp_path, {"MLFLOW_TRACKING_URI": uri})
    ward.stories.time = time.time()
    from ad_platform.doctor.clocks import clocks

    told = {finding.subject: finding.level for finding in clocks(ward.ground)}
    assert told == {"the store": Level.OK, "MLflow": Level.PROBLEM}
    (version,) = ward.look("versions")
    assert (version.kind, version.level) == ("mlflow", Level.WARNING)
    assert "MLflow 2.9.1 is served" in version.words
    ward.close()


def test_workers_that_compute_with_other_programs_are_told_once_for_each():
    def worker(name: str, torch: str, python: str) -> WorkerRecord:
        return WorkerRecord(id=name, node=name, pid=1, slots=1, facts={"torch": torch, "python": python})

    same = [worker("a", "2.14.1", "3.11.7"), worker("b", "2.14.1", "3.11.9")]
    assert list(mixed(same)) == []
    (found,) = mixed([*same, worker("c", "2.13.1", "3.11.7")])
    assert found.words == "workers run several versions of torch: 2.14.1 on a, b; 2.13.1 on c"
    assert [each.kind for each in mixed([*same, worker("c", "2.14.1", "3.12.0")])] == ["mixed-python"]


def test_a_detector_described_otherwise_is_told_whatever_only_workers_know():
    ours = {"a": {"name": "a", "schema": {}}, "b": {"name": "b"}}
    assert list(described({"a": {"name": "a", "schema": {}, "versions": {"x": 1}}}, ours)) == []
    (found,) = described({"a": {"name": "a", "schema": {"x": 1}}, "c": {}}, ours)
    assert "workers describe a otherwise" in found.words


def test_a_disk_that_can_hold_no_more_files_is_told_whatever_room_it_has():
    assert list(places.few_files(0, 0, "here")) == []  # counts none
    assert list(places.few_files(500_000, 1_000_000, "here")) == []
    (few,) = places.few_files(20_000, 1_000_000, "here")
    (none,) = places.few_files(10, 1_000_000, "here")
    assert (few.level, none.level) == (Level.WARNING, Level.PROBLEM)
    assert "20,000 of 1,000,000 files are left here" in few.words
