"""A sweep as MLflow keeps it, over a real database: one run, its curve, its report, its jobs below it."""

import threading
from pathlib import Path

import pytest

import study_cases as cases
from ad_platform.settings import Settings
from ad_platform.states import StudyState, TrialState
from ad_platform.tracking.facts import study_run
from ad_platform.tracking.mlflow import MlflowTracker, open_tracker
from ad_platform.tracking.parents import EVERY
from ad_platform.tracking.shipper import Shipper
from ad_platform.tracking.studies import StudyRuns
from job_stories import START, Stories
from mlflow_home import QUIET
from study_stories import StudyStory

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]

BEST = "best/validation/image_auroc"


def runs_of(tracker: MlflowTracker, category: str) -> list:
    found = tracker.client.get_experiment_by_name(f"mvtec/{category}")
    return tracker.client.search_runs([found.experiment_id])


def story(stories: Stories, category: str) -> StudyStory:
    return StudyStory(
        stories, cases.of_category(cases.spec(space=(cases.NOISE, cases.W)), category), category
    )


def test_a_sweep_is_a_run_with_a_curve_and_a_report_above_its_jobs(
    stories: Stories, tracker: MlflowTracker, tmp_path: Path
) -> None:
    told = story(stories, "nested")
    for number, value in enumerate((0.7, 0.9, 0.8)):
        told.trial(number, value)
        stories.lease(told.job(number))
    told.trial(3, 0.4, TrialState.PRUNED)
    told.finish(1, 0.9)
    now = [0.0]
    studies = StudyRuns(stories.store, tracker, clock=lambda: now[0])
    shipper = Shipper(stories.store, stories.storage, tracker, "s1", [studies], studies.parent_of)
    shipper.once()
    shipper.once()
    runs = {run.info.run_name: run for run in runs_of(tracker, "nested")}
    parent = runs.pop("nested")
    assert len(runs) == 3
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert (parent.info.status, parent.info.start_time) == ("FINISHED", int(START * 1000))
    assert parent.data.params["search.w"] == "0:12"
    history = tracker.client.get_metric_history(parent.info.run_id, BEST)
    assert [(point.step, point.value) for point in sorted(history, key=lambda point: point.step)] == [
        (0, 0.7),
        (1, 0.9),
        (2, 0.9),
        (3, 0.9),
    ]
    assert parent.data.metrics["test/image_auroc"] == 0.9
    names = [file.path for file in tracker.client.list_artifacts(parent.info.run_id)]
    assert names == ["report.html", "trials.csv"]
    page = Path(tracker.client.download_artifacts(parent.info.run_id, "report.html", str(tmp_path)))
    assert "Optimisation history" in page.read_text()

    told.store.studies.steer(told.id, state=StudyState.RUNNING, wanted=99)
    now[0] += EVERY
    shipper.once()
    assert tracker.client.get_run(parent.info.run_id).info.status == "RUNNING"
    told.trial(4, 0.95)
    told.finish(4, 0.95)
    StudyRuns(stories.store, tracker)()  # another process
    again = tracker.client.get_run(parent.info.run_id)
    assert (again.info.status, again.data.metrics[BEST]) == ("FINISHED", 0.95)
    assert len(tracker.client.get_metric_history(parent.info.run_id, BEST)) == 5


def test_two_shippers_that_meet_a_new_sweep_leave_one_run(
    stories: Stories, settings: Settings, tracker: MlflowTracker
) -> None:
    told = story(stories, "raced")
    told.trial(0, 0.7)
    study = told.study
    tracker.ensure_parent_run(study_run(study))  # the experiment is made by a job before
    for run in runs_of(tracker, "raced"):
        tracker.client.delete_run(run.info.run_id)
    barrier, found = threading.Barrier(3), []

    def ensure() -> None:
        own = open_tracker(settings)
        barrier.wait()
        found.append(own.ensure_parent_run(study_run(study)))

    threads = [threading.Thread(target=ensure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = {run.info.run_id for run in runs_of(tracker, "raced")}
    assert left == {tracker.ensure_parent_run(study_run(study))}
    assert left <= set(found)
