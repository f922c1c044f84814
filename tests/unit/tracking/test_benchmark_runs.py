"""One run for each benchmark, above those of its jobs, whatever dies in between."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import TrackingDown
from ad_platform.tracking import facts
from ad_platform.tracking.benchmarks import BenchmarkRuns
from ad_platform.tracking.memory import MemoryTracker, Run
from ad_platform.tracking.parents import EVERY
from ad_platform.tracking.protocol import RunState
from ad_platform.tracking.shipper import Shipper
from ad_workers.benchmarking.following import Follower
from benchmark_cases import Yard
from clientkit import bench, migrated


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("benchmark-runs"))


class Tracked:
    """A yard whose benchmarks are shipped to a tracker in memory."""

    def __init__(self, yard: Yard) -> None:
        self.yard, self.tracker, self.now = yard, MemoryTracker(), 0.0
        self.again()

    def again(self) -> None:
        """Begin as a new process that knows nothing."""
        yard = self.yard
        self.runs = BenchmarkRuns(yard.store, yard.client.storage, self.tracker, lambda: self.now)

    def ship(self, later: float = EVERY) -> int:
        self.now += later
        return self.runs()

    def follow(self) -> None:
        yard = self.yard
        follower = Follower(yard.store, yard.client.storage, "me", lambda: self.now)
        while any([follower.follow(one) for one in yard.store.benchmarks.to_follow()]):  # noqa: C419
            pass

    @property
    def run(self) -> Run:
        (run,) = [run for run in self.tracker.runs if run.parent_id]
        return run

    def points(self) -> dict[str, set[tuple[int, float]]]:
        return {
            name: {(step, value) for step, _, value in points} for name, points in self.run.points.items()
        }


@pytest.fixture
def tracked(template: Path, tmp_path: Path) -> Iterator[Tracked]:
    with bench(template, tmp_path) as made:
        yield Tracked(Yard(made))


def test_a_benchmark_is_one_run_that_grows_and_ends_with_its_tables(tracked: Tracked) -> None:
    yard = tracked.yard
    made = yard.submit(name="tables")
    tracked.ship()
    assert (tracked.run.experiment, tracked.run.name) == ("benchmarks/tables", "tables")
    assert tracked.run.params["benchmark.models"] == "toy, other"
    assert tracked.run.state is RunState.RUNNING
    yard.work(4)
    tracked.follow()
    tracked.ship()
    assert tracked.points()["toy/screw/image_auroc"] == {(0, 0.8), (1, 0.81)}
    assert tracked.run.tags["adctl.open"] == "10"
    yard.work()
    tracked.follow()
    tracked.ship()
    run = tracked.run
    assert run.state is RunState.FINISHED
    assert set(run.artifacts) == {"results.csv", "leaderboard.md", "leaderboard.csv", "report.html"}
    assert b"What came of it" in run.artifacts["report.html"]
    assert "adctl.problem" not in run.tags
    assert run.tags["adctl.state"] == "complete"
    assert "toy **85.5 ± 0.7**" in run.tags["mlflow.note.content"]
    version = yard.store.benchmarks.get(made.id).version
    ((step, value),) = tracked.points()["other/average/image_auroc"]
    assert (step, value) == (version, pytest.approx(0.905))
    assert tracked.ship() == 0


def test_a_new_process_adds_nothing_twice(tracked: Tracked) -> None:
    tracked.yard.submit()
    tracked.yard.work()
    tracked.follow()
    tracked.ship()
    before = {name: set(points) for name, points in tracked.run.points.items()}
    (benchmark,) = tracked.yard.store.benchmarks.search()
    tracked.again()
    tracked.runs._ship(replace(benchmark, shipped_version=0))
    assert tracked.run.points == before


def test_the_runs_of_jobs_lie_below_in_the_same_experiment(tracked: Tracked) -> None:
    yard = tracked.yard
    yard.submit(name="tables", models=["toy"], seeds=1)
    yard.client.submit(
        [replace(one, group="tables") for one in yard.client.plan_train(yard_request(yard))]
    )  # in the group, but no part of it
    yard.work()
    shipper = Shipper(
        yard.store, yard.client.storage, tracked.tracker, "me", [tracked.runs], tracked.runs.parent_of
    )
    shipper.once()
    jobs = [run for run in tracked.tracker.runs if run.job_id]
    below = [run for run in jobs if run.tags.get(facts.PARENT_TAG)]
    assert (len(jobs), len(below)) == (8, 6)
    assert {run.tags[facts.PARENT_TAG] for run in below} == {tracked.run.id}
    assert {run.experiment for run in below} == {tracked.run.experiment}
    assert {run.experiment for run in jobs if run not in below} == {"mvtec/screw"}


def yard_request(yard: Yard):  # type: ignore[no-untyped-def]
    """Return the request of one training."""
    return yard.benchmarks.plan(yard.request(models=["toy"], seed=5, seeds=1)).wanted[0].request


def test_failed_cells_fail_the_run_until_they_are_retried(tracked: Tracked) -> None:
    yard = tracked.yard
    made = yard.submit()
    yard.work(fails=lambda job: job.spec.dataset.category == "grid")
    tracked.follow()
    tracked.ship()
    assert tracked.run.state is RunState.FAILED
    assert tracked.run.tags["adctl.failed"] == "4"
    yard.benchmarks.retry(made.name)
    tracked.follow()
    tracked.ship()
    assert tracked.run.state is RunState.RUNNING
    yard.work()
    tracked.follow()
    tracked.ship()
    assert tracked.run.state is RunState.FINISHED


def test_while_the_server_is_away_nothing_is_lost(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*arguments: object) -> None:
        raise TrackingDown("away")

    tracked.yard.submit()
    tracked.yard.work()
    tracked.follow()
    with monkeypatch.context() as patch:
        patch.setattr(tracked.tracker, "log_artifacts", down)
        with pytest.raises(TrackingDown):
            tracked.ship()
    tracked.ship()
    assert tracked.run.state is RunState.FINISHED
    assert len(tracked.points()["toy/screw/image_auroc"]) == 2


def test_one_that_is_at_work_is_shown_once_in_a_while(tracked: Tracked) -> None:
    tracked.yard.submit()
    assert tracked.ship() == 1
    tracked.yard.work(2)
    tracked.follow()
    assert tracked.ship(later=EVERY / 2) == 0
    assert tracked.ship(later=EVERY / 2) == 1
