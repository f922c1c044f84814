"""Thousands of trials that compute nothing, by several workers on PostgreSQL: the platform's own share."""

import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace

from parts.figures import Row
from parts.home import ROOT

sys.path.append(str(ROOT / "tests"))

NOTHING = {
    "name": "nothing",
    "summary": "Computes nothing.",
    "schema": {
        "type": "object",
        "properties": {
            "image_size": {"type": "integer", "default": 8},
            "x": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
            "y": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        },
    },
    "presets": {"default": {}},
    "default_preset": "default",
    "space": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
    "stages": [{"name": "fit", "version": 1, "fields": ["image_size", "x", "y"]}],
}
METRIC = "validation/image_auroc"


def work(environment: dict[str, str], name: str) -> None:
    """Be a worker: lease, answer with a formula at once, have the sweeper told; until nothing is left."""
    os.environ.update(environment)
    from ad_platform import settings
    from ad_platform.records import Capabilities, Outcome
    from ad_platform.states import AttemptOutcome, StudyState
    from ad_platform.store.engine import open_store
    from ad_workers.companions import sweeper

    store, companion = open_store(settings.load().database_url), sweeper()
    companion.want()
    can = Capabilities(worker=name, node="here", detectors=frozenset({"nothing"}))
    pause = threading.Event()
    while True:
        lease = store.leases.lease(can, 60.0)
        if lease is None:
            if not store.studies.search([StudyState.RUNNING]):
                break
            pause.wait(0.02)
            continue
        config = lease.job.spec.config
        value = 1 - abs(float(str(config["x"])) - 0.3) - abs(float(str(config["y"])) - 0.7)
        result = {"metrics": {METRIC: value, "test/image_auroc": value}, "bundle": "none"}
        store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))
        companion.poke()
    companion.close(5.0)
    store.close()


def many_trials(trials: int, workers: int, sampler: str) -> tuple[list[Row], list[str]]:
    """Run a sweep of so many trials; return its pace as it grew, and the time of a question at its end."""
    import ad_migrations
    from services import postgres_server

    with postgres_server() as server, tempfile.TemporaryDirectory(prefix="adctl-bench-") as folder:
        url = server.new_database()
        ad_migrations.upgrade(url)
        environment = {
            "ADCTL_HOME": folder,
            "ADCTL_DATABASE_URL": url,
            "ADCTL_BROKER_URL": f"redis+socket://{folder}/none.sock",  # wake-ups go nowhere: the workers look
            "ADCTL_NODE": "here",
            "ADCTL_USER": "bench",
        }
        os.environ.update(environment)
        took, pace = _run(environment, trials, workers, sampler)
        asks = _asks(trials)
    rows = [
        Row(what=f"{trials} trials, {workers} workers, {sampler}", values=[took]),
        *(Row(what=f"trials a second, {words}", values=[value], unit="/s") for words, value in pace),
        *asks,
    ]
    return rows, []


def _run(
    environment: dict[str, str], trials: int, workers: int, sampler: str
) -> tuple[float, list[tuple[str, float]]]:
    from ad_platform import settings
    from ad_platform.client import Client
    from ad_platform.records import Holding
    from ad_platform.requests import TrainRequest
    from ad_platform.specs import DatasetRef
    from ad_platform.states import StudyState
    from ad_platform.sweeps.asking import SweepRequest
    from ad_platform.sweeps.steering import Sweeps

    data = DatasetRef(dataset="none", category="none", fingerprint="f" * 64, path="/none")
    with Client(settings.load(), code={"version": "bench"}) as client:
        client.store.workers.publish({"nothing": NOTHING}, "w")
        held = Holding(node="here", fingerprint="f" * 64, dataset="none", category="none", path="/none")
        client.store.workers.hold([held])
        request = SweepRequest(
            train=TrainRequest(detector="nothing", dataset=data),
            trials=trials,
            parallel=2 * workers,
            sampler=sampler,
            pruner="none",
            name="many",
        )
        study = Sweeps(client).submit(Sweeps(client).plan(request))
        spawn = multiprocessing.get_context("spawn")
        hands = [spawn.Process(target=work, args=(environment, f"w{n}")) for n in range(workers)]
        began = time.monotonic()
        for hand in hands:
            hand.start()
        while client.store.studies.get(study.id).state is StudyState.RUNNING:
            time.sleep(0.5)
        took = time.monotonic() - began
        for hand in hands:
            hand.join(60)
        found = client.store.studies.trials(study.id)
    times = [trial.asked_at for trial in found]
    size = max(1, len(times) // 5)
    pace = []
    for start in range(0, len(times) - size + 1, size):
        part = times[start : start + size]
        span = max(part) - min(part)
        pace.append((f"number {start} to {start + size - 1}", (size - 1) / span if span else 0.0))
    return took, pace


def _asks(trials: int) -> list[Row]:
    """Measure a question to Optuna in a study of the size that was reached."""
    from ad_platform import settings
    from ad_platform.client import Client
    from ad_platform.sweeps import methods
    from ad_platform.sweeps.optuna_study import OptunaStudy, close_storage, open_storage
    from ad_platform.sweeps.study_spec import StudySpec

    rows = []
    with Client(settings.load()) as client:
        study = client.store.studies.get("many")
        spec = StudySpec.from_json(study.spec)
    storage = open_storage(settings.load())
    for sampler in ("random", "tpe"):
        asked = OptunaStudy(storage, study, replace(spec, sampler=methods.sampler(sampler)))
        seconds = []
        for _ in range(10):
            began = time.perf_counter()
            asked.ask()
            seconds.append(1000 * (time.perf_counter() - began))
        what = f"a question to {sampler} beside {trials} trials"
        rows.append(Row(what=what, values=[statistics.median(seconds)], unit="ms"))
    close_storage(storage)
    return rows
