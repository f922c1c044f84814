"""Promises of the client that the command line does not show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.errors import InvalidRequest, StoreDown, StoreMismatch
from ad_platform.records import Champion, Outcome
from ad_platform.requests import Promotion, Scheduling, TrainRequest
from ad_platform.settings import load
from ad_platform.specs import DatasetRef
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from clientkit import Bench, bench, migrated

SCREW = DatasetRef(dataset="parts", category="screw", fingerprint="a" * 64, path="/images/parts/screw")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        yield made


def test_fit_and_evaluation_are_submitted_whole_or_not_at_all(desk: Bench):
    request = TrainRequest(detector="toy", dataset=SCREW, scheduling=Scheduling(queue="no spaces"))

    with pytest.raises(InvalidRequest):
        desk.client.submit_train(request)

    assert desk.store.jobs.search() == []


def test_data_that_no_workers_node_holds_is_pointed_out(desk: Bench):
    desk.online()
    without = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW))
    desk.client.hold(SCREW)
    with_data = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW))

    assert "parts/screw are not on a node with a fitting worker (here)" in without.warnings[0]
    assert with_data.warnings == ()


def test_a_device_of_cuda_asks_for_a_gpu(desk: Bench):
    submitted = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW, device="cuda"))

    assert [job.gpus for job in submitted.jobs] == [1, 1]


def test_a_retry_of_the_fit_brings_its_evaluation_along(desk: Bench):
    train, evaluation = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW)).jobs
    desk.client.hold(SCREW)
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CODE))

    (again,) = desk.client.retry(train.id).jobs

    (new_evaluation,) = desk.client.dependents(again)
    assert new_evaluation.retry_of == evaluation.id
    assert new_evaluation.spec.source == again.id


def test_readers_reap_at_most_once_a_second(desk: Bench, monkeypatch):
    now, reaps = [0.0], []
    reap = desk.store.leases.reap
    monkeypatch.setattr(desk.client, "_monotonic", lambda: now[0])
    monkeypatch.setattr(desk.store.leases, "reap", lambda: reaps.append(now[0]) or reap())

    for moment in (0.0, 0.5, 0.9, 1.1, 1.2):
        now[0] = moment
        desk.client.jobs()

    assert reaps == [0.0, 1.1]


def test_a_watch_goes_on_when_the_store_comes_back(desk: Bench, monkeypatch):
    (job,) = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW, evaluate=False)).jobs
    get, answers = desk.store.jobs.get, iter(["down", "up", "down"])

    def sometimes(job_id: str):
        if next(answers, "up") == "down":
            raise StoreDown("the store is away")
        return get(job_id)

    monkeypatch.setattr(desk.store.jobs, "get", sometimes)
    seen = []
    for snapshot in desk.client.watch([job.id]):
        seen.append((len(snapshot.jobs), snapshot.trouble))
        if len(seen) == 3:
            desk.store.jobs.cancel(job.id)

    assert seen == [(0, "the store is away"), (1, ""), (1, "the store is away"), (1, "")]


def test_waiting_for_the_registry_ends_when_it_shows_the_decision_or_time_is_up(desk: Bench):
    (job,) = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW, evaluate=False)).jobs
    desk.client.hold(SCREW)
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.SUCCEEDED))
    decided = desk.store.champions.promote(
        Champion(model="toy-parts-screw", alias="champion", revision=1, job_id=job.id, user="kim")
    )
    now = [0.0]
    desk.client._monotonic = lambda: now[0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 100:
            desk.store.champions.published(decided, "7")

    desk.client._pause = pause

    assert not desk.client.await_registry(Promotion(champion=decided), 60).published
    assert desk.client.await_registry(Promotion(champion=decided), 60).champion.published == "7"


def test_a_home_without_a_store_says_to_start_the_services(tmp_path):
    from ad_platform.client import Client

    client = Client(load({"ADCTL_HOME": str(tmp_path)}))

    with pytest.raises(StoreDown, match="adctl up"):
        client.jobs()


def test_a_store_of_another_schema_says_to_upgrade(tmp_path):
    import contextlib
    import sqlite3

    from ad_platform.client import Client

    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
        connection.commit()
    client = Client(load({"ADCTL_HOME": str(tmp_path)}))

    with pytest.raises(StoreMismatch, match="adctl db upgrade"):
        client.jobs()


def test_a_cancelled_job_is_shown_as_it_stands(desk: Bench):
    (job,) = desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW, evaluate=False)).jobs

    assert desk.client.cancel(job.id).state is JobState.CANCELLED
