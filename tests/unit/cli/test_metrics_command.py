"""`adctl metrics` as Prometheus reads it, with a server of its own and a real store."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ad_platform.errors import StoreDown
from ad_platform.fleet import Figures
from ad_platform.metrics import FleetCollector
from ad_platform.records import Outcome, WorkerRecord
from ad_platform.states import AttemptOutcome, FailureClass
from clientkit import Bench

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_a_scrape_tells_of_queues_leases_slots_attempts_and_the_shipper(
    adctl, desk: Bench, screw: Path
) -> None:
    desk.online("w1", queues=("default", "big"))
    desk.store.workers.register(
        WorkerRecord(id="w2", node="there", pid=1, slots=3, facts={"devices": ["H100", "H100", "cpu"]})
    )
    for _ in range(3):
        assert adctl("submit", "train", "--model", "toy", "--data", str(screw), "--no-evaluate").code == 0
    lost = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CODE, error="x")
    desk.store.leases.finish(desk.lease(), lost)
    desk.lease()
    seen = parsed(adctl("metrics", "--once").out)

    assert value(seen, "adctl_store_up") == 1
    assert value(seen, "adctl_jobs", state="failed") >= 1
    assert value(seen, "adctl_queue_jobs", queue="default", state="queued") == 1
    assert value(seen, "adctl_queue_jobs", queue="big", state="queued") == 0
    assert 0 <= value(seen, "adctl_queue_oldest_seconds", queue="default") < 60
    assert value(seen, "adctl_queue_paused", queue="default") == 0
    assert value(seen, "adctl_attempts_total", outcome="failed", failure="code") == 1
    assert value(seen, "adctl_leases_overdue") == 0
    assert value(seen, "adctl_shipper_jobs") >= 3
    assert value(seen, "adctl_shipper_lag_seconds") >= 0
    assert value(seen, "adctl_workers", state="online") == 2
    assert value(seen, "adctl_worker_slots", worker="w2", node="there") == 3
    assert value(seen, "adctl_worker_gpus", worker="w2", node="there") == 2
    assert value(seen, "adctl_worker_slots_busy", worker="w1", node="here") == 1
    assert value(seen, "adctl_worker_seen_seconds", worker="w1", node="here") < 60


def test_a_store_that_is_away_is_a_metric_and_not_an_error() -> None:
    def away() -> Figures:
        raise StoreDown("away")

    registry = CollectorRegistry()
    registry.register(FleetCollector(away, 30.0))
    assert parsed(generate_latest(registry).decode()) == {("adctl_store_up", frozenset()): 0.0}


def test_who_asks_again_at_once_costs_the_store_no_look() -> None:
    looks: list[float] = []
    clock = [100.0]

    def look() -> Figures:
        looks.append(clock[0])
        return Figures(now=0.0, lease_until=12.0)

    registry = CollectorRegistry()
    registry.register(FleetCollector(look, 30.0, lambda: clock[0]))
    for _ in range(3):
        seen = parsed(generate_latest(registry).decode())
    assert looks == [100.0]
    assert value(seen, "adctl_lease_age_seconds") == 18.0
    clock[0] += 5
    generate_latest(registry)
    assert looks == [100.0, 105.0]


@pytest.fixture
def served(desk: Bench) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ad_cli", "metrics", "--port", "0"],
        env={**os.environ, "ADCTL_HOME": str(desk.home), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_answers_by_http_until_it_is_told_to_end(
    served: tuple["subprocess.Popen[str]", str], adctl, tmp_path: Path
) -> None:
    process, url = served
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert value(parsed(answer.read().decode()), "adctl_store_up") == 1
    taken = adctl("metrics", "--port", url.rpartition(":")[2].partition("/")[0])
    assert taken.code == 4
    assert "choose another --port" in taken.err
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    with socket.socket() as line:
        assert line.connect_ex(("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0]))) != 0
