"""Jobs as MLflow shows them, over a real database."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import TrackingDown
from ad_platform.settings import Settings
from ad_platform.storage.metrics import Point
from ad_platform.tracking.facts import JOB_TAG
from ad_platform.tracking.mlflow import MlflowTracker, open_client, prepare, sqlite_path
from ad_platform.tracking.protocol import RunState
from ad_platform.tracking.shipper import CLAIM, SETTLED, Shipper
from job_stories import START, Stories
from mlflow_home import QUIET, mlflow_home

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]


def ship(stories: Stories, tracker: MlflowTracker) -> int:
    return Shipper(stories.store, stories.storage, tracker, "s1").once()


def run_ids(tracker: MlflowTracker, experiment: str) -> list[str]:
    found = tracker.client.get_experiment_by_name(experiment)
    return [run.info.run_id for run in tracker.client.search_runs([found.experiment_id])]


def test_the_database_is_ready_and_writes_ahead(settings: Settings) -> None:
    path = sqlite_path(settings.tracking_uri)
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    prepare(settings)


def test_a_finished_job_is_one_run_with_all_there_is(
    stories: Stories, tracker: MlflowTracker, settings: Settings, tmp_path: Path
) -> None:
    job = stories.trained(None, category="whole")
    ship(stories, tracker)
    (run_id,) = run_ids(tracker, "mvtec/whole")
    run = tracker.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.start_time == int(START * 1000)
    assert run.info.end_time == int(job.finished_at * 1000)  # type: ignore[operator]
    assert run.info.run_name == f"train-ddad-{job.id[:8]}"
    assert run.data.params["feature.skip"] == "True"
    assert run.data.tags["adctl.job_id"] == job.id
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "mvtec/whole"
    history = tracker.client.get_metric_history(run_id, "train/loss")
    assert [(m.step, m.timestamp, m.value) for m in history] == [
        (step, int((START + 1000 + step) * 1000), 1 / step) for step in range(1, 5)
    ]
    folder = Path(tracker.client.download_artifacts(run_id, "", str(tmp_path)))
    assert (folder / "model" / "state.safetensors").read_text() == "weights"
    assert (folder / "log.txt").read_text().endswith("attempt 1 starts\n")
    assert run.info.artifact_uri.startswith((settings.home / "mlartifacts").as_uri())


@pytest.mark.parametrize("state", ["running", "succeeded"])
def test_a_run_that_comes_late_of_one_who_gave_up_is_removed(
    stories: Stories, tracker: MlflowTracker, state: str
) -> None:
    """A server may make a run long after whoever asked for it has died, and another has made its own."""
    place = f"late-{state}"
    lease = stories.lease(stories.submit(category=place))
    stories.checkpoint(lease, 4)
    if state == "succeeded":
        stories.succeed(lease, {"state.safetensors": "w"}, {"image_auroc": 0.9})
    assert stories.store.shipments.claim("dies", CLAIM)
    stories.time += CLAIM + 1
    assert ship(stories, tracker) == 1
    (kept,) = run_ids(tracker, f"mvtec/{place}")
    experiment = tracker.client.get_run(kept).info.experiment_id
    for _ in range(4):  # some of them come first by id
        tracker.client.create_run(experiment, tags={JOB_TAG: lease.job_id})
    assert ship(stories, tracker) == 0
    stories.time += SETTLED
    assert ship(stories, tracker) == 1
    assert run_ids(tracker, f"mvtec/{place}") == [kept]
    assert [m.step for m in tracker.client.get_metric_history(kept, "train/loss")] == [1, 2, 3, 4]
    stories.time += SETTLED
    assert ship(stories, tracker) == 0


def test_shipping_everything_again_doubles_nothing(stories: Stories, tracker: MlflowTracker) -> None:
    job = stories.trained(None, category="again")
    for _ in range(2):
        run_id = tracker.ensure_run(job)
        tracker.log_params(run_id, {"a": "1"})
        tracker.log_input(run_id, job)
        tracker.log_points(run_id, stories.points(1, 3, 1))
        tracker.end_run(run_id, RunState.FINISHED, START + 9)
    assert run_ids(tracker, "mvtec/again") == [run_id]
    assert len(tracker.client.get_metric_history(run_id, "train/loss")) == 3
    assert len(tracker.client.get_run(run_id).inputs.dataset_inputs) == 1
    assert tracker.steps(run_id)["train/loss"] == {1, 2, 3}


def test_more_than_a_batch_holds_is_sent_in_several(stories: Stories, tracker: MlflowTracker) -> None:
    run_id = tracker.ensure_run(stories.submit(category="many"))
    tracker.log_points(
        run_id, [Point(step=s, time=START + s, metrics={"a": float(s), "b": 0.0}) for s in range(1, 601)]
    )
    tracker.log_params(run_id, {f"p{n}": "x" * 7000 for n in range(150)})
    tracker.log_tags(run_id, {f"t{n}": "y" * 9000 for n in range(150)})
    data = tracker.client.get_run(run_id).data
    assert data.metrics == {"a": 600.0, "b": 0.0}
    assert len(data.params) == 150
    assert {f"t{n}" for n in range(150)} <= data.tags.keys()


def test_strange_names_are_made_plain(stories: Stories, tracker: MlflowTracker) -> None:
    run_id = tracker.ensure_run(stories.submit(category="names"))
    tracker.log_points(run_id, [Point(step=1, time=START, metrics={"loss [%]": 1.0})])
    assert tracker.client.get_run(run_id).data.metrics == {"loss ___": 1.0}


def test_nodes_that_start_at_once_share_one_experiment_and_one_run(
    stories: Stories, settings: Settings, tracker: MlflowTracker
) -> None:
    job = replace(stories.submit(category="race"))
    start, found = threading.Barrier(3), []

    def node() -> None:
        mine = MlflowTracker(open_client(settings.tracking_uri), settings.home / "mlartifacts")
        start.wait()
        found.append(mine.ensure_run(job))

    threads = [threading.Thread(target=node) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert run_ids(tracker, "mvtec/race") == [tracker.ensure_run(job)]


def test_a_deleted_experiment_is_brought_back(stories: Stories, settings: Settings) -> None:
    job = stories.submit(category="deleted")
    client = open_client(settings.tracking_uri)
    client.delete_experiment(client.create_experiment("mvtec/deleted"))
    assert MlflowTracker(client).ensure_run(job)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:////proc/no/mlflow.db"])
def test_a_server_that_is_away_is_tracking_down(stories: Stories, uri: str) -> None:
    with pytest.raises(TrackingDown, match="does not answer"):
        MlflowTracker(open_client(uri)).ensure_run(stories.submit())


def test_two_processes_that_prepare_at_once_both_succeed() -> None:
    assert mlflow_home("tracking")[1] == 0
