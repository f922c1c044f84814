"""One run for each study, above those of its jobs, whatever dies in between."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import study_cases as cases
from ad_platform.errors import MissingExtra, TrackingDown
from ad_platform.records import Study
from ad_platform.states import StudyState, TrialOrigin, TrialState
from ad_platform.store.contract import Store
from ad_platform.tracking.memory import MemoryTracker, Run
from ad_platform.tracking.parents import EVERY
from ad_platform.tracking.protocol import RunState
from ad_platform.tracking.shipper import CLAIM, Shipper
from ad_platform.tracking.studies import REPORT_EVERY, StudyRuns
from job_stories import START, Stories
from study_stories import StudyStory

METRIC = "validation/image_auroc"
BEST = f"best/{METRIC}"


@dataclass
class Reports:
    """Builds reports that only say how often they were built."""

    built: list[str] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self, store: Store, study: Study, folder: Path) -> None:
        if self.error is not None:
            raise self.error
        self.built.append(study.state)
        (folder / "report.html").write_text(f"report {len(self.built)} of {study.name}")
        (folder / "trials.csv").write_text("number\n")


@dataclass
class Bench:
    """A tracker and what keeps the runs of studies up to date, with a clock that is moved."""

    stories: Stories
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    reports: Reports = field(default_factory=Reports)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.again()

    def again(self, tracker: object | None = None) -> None:
        """Begin as a new process that knows nothing."""
        used = self.tracker if tracker is None else tracker
        self.runs = StudyRuns(self.stories.store, used, self.reports, lambda: self.now)  # type: ignore[arg-type]

    def ship(self, later: float = EVERY) -> int:
        self.now += later
        return self.runs()

    @property
    def run(self) -> Run:
        (run,) = [run for run in self.tracker.runs if run.parent_id]
        return run


@pytest.fixture
def bench(stories: Stories) -> Bench:
    return Bench(stories)


@pytest.fixture
def story(stories: Stories) -> StudyStory:
    return StudyStory(stories)


def curve(run: Run, name: str) -> dict[int, float]:
    points = run.points.get(name, set())
    assert len({step for step, _, _ in points}) == len(points), f"{name} has two points for one step"
    return {step: value for step, _, value in sorted(points)}


def test_a_study_has_a_run_that_says_what_is_searched_and_how_it_stands(
    bench: Bench, story: StudyStory
) -> None:
    story.trial(0, 0.8)
    story.trial(1)
    assert bench.ship() == 1
    run = bench.run
    assert (run.name, run.experiment, run.started_at) == ("screw-noise", "mvtec/screw", START)
    assert (run.state, run.ended_at) == (RunState.RUNNING, None)
    assert (
        run.params.items()
        >= {
            "search.noise_step": "50:500:25",
            "search.w": "0:12",
            "noise_step": "250",
            "steps": "2000",
            "sweep.objectives": f"{METRIC}:max",
            "sweep.sampler": "tpe:n_startup_trials=10",
            "sweep.pruner": "median",
        }.items()
    )
    assert (
        run.tags.items()
        >= {
            "adctl.study_id": story.id,
            "adctl.kind": "sweep",
            "adctl.state": "running",
            "adctl.selected_on": "validation",
            "adctl.asked": "2",
            "adctl.complete": "1",
            "adctl.running": "1",
            "adctl.best_trial": "0",
            "mlflow.user": "ann",
        }.items()
    )
    note = run.tags["mlflow.note.content"]
    assert "Searches **noise_step** (50:500:25), **w** (0:12) of ddad (preset small) on mvtec/screw." in note
    assert f"Best so far: trial 0, {METRIC} **0.8000**, noise_step=50, w=0." in note
    assert story.study.run_id == run.id
    assert bench.ship() == 0


def test_each_trial_that_ended_is_one_point_at_its_own_time(bench: Bench, story: StudyStory) -> None:
    story.trial(0, 0.8)
    story.trial(1, 0.5)
    story.trial(2, 0.7, TrialState.PRUNED)
    story.trial(3, None, TrialState.FAILED)
    story.trial(4, None, TrialState.FAILED, TrialOrigin.RULED_OUT)
    bench.ship()
    story.trial(5, 0.9)
    story.summarise()
    bench.ship()
    run = bench.run
    assert curve(run, BEST) == {0: 0.8, 1: 0.8, 2: 0.8, 3: 0.8, 5: 0.9}
    assert curve(run, "trials/pruned") == {0: 0, 1: 0, 2: 1, 3: 1, 5: 1}
    assert curve(run, "trials/failed")[5] == 1
    assert {time for step, time, _ in run.points[BEST] if step == 1} == {int((START + 20) * 1000)}


def test_a_trial_that_ends_late_changes_no_point_that_was_sent(bench: Bench, story: StudyStory) -> None:
    story.trial(0)
    story.trial(1, 0.6)
    bench.ship()
    stories = bench.stories
    stories.time += 10
    story.store.studies.end_trial(story.id, 0, TrialState.COMPLETE, (0.9,))
    story.summarise()
    bench.again()  # another process looks at what the run shows first
    bench.ship()
    assert curve(bench.run, BEST) == {0: 0.9, 1: 0.6}


def test_less_is_better_where_it_is_and_each_objective_has_a_curve(stories: Stories, bench: Bench) -> None:
    story = StudyStory(stories, cases.spec(objectives=(cases.LATENCY, cases.AUROC)))
    story.trial(0, 9.0)
    story.trial(1, 7.0)
    story.trial(2, 8.0)
    bench.ship()
    assert curve(bench.run, "best/latency_ms") == {0: 9.0, 1: 7.0, 2: 7.0}
    assert curve(bench.run, BEST) == {0: 10.0, 1: 10.0, 2: 10.0}


def test_the_run_ends_with_the_study_and_goes_on_when_it_is_extended(bench: Bench, story: StudyStory) -> None:
    story.trial(0, 0.8)
    finished = story.finish(0, 0.8, test=0.75)
    bench.ship()
    run = bench.run
    assert (run.state, run.ended_at) == (RunState.FINISHED, finished.finished_at)
    assert curve(run, "test/image_auroc") == {1: 0.75}
    assert run.tags["adctl.train_job"] == "train-job"
    assert "Chosen: trial 0" in run.tags["mlflow.note.content"]
    assert "which chose nothing, it scores 0.7500 (0.7000 to 0.8000)" in run.tags["mlflow.note.content"]

    story.store.studies.steer(story.id, state=StudyState.RUNNING, wanted=99)
    bench.ship()
    assert run.state is RunState.RUNNING
    story.trial(1, 0.85)
    story.finish(1, 0.85, test=0.8)
    bench.ship()
    assert run.state is RunState.FINISHED
    assert curve(run, BEST) == {0: 0.8, 1: 0.85}
    assert curve(run, "test/image_auroc") == {1: 0.75, 2: 0.8}


def test_a_cancelled_study_ends_its_run_as_killed_and_a_paused_one_does_not(
    bench: Bench, story: StudyStory
) -> None:
    story.store.studies.steer(story.id, state=StudyState.PAUSED)
    bench.ship()
    assert (bench.run.state, bench.run.tags["adctl.state"]) == (RunState.RUNNING, "paused")
    stopped = story.store.studies.steer(story.id, state=StudyState.STOPPED)
    bench.ship(0)  # at once
    assert (bench.run.state, bench.run.ended_at) == (RunState.KILLED, stopped.finished_at)


def test_a_report_is_built_at_the_end_and_seldom_before_it(bench: Bench, story: StudyStory) -> None:
    story.trial(0, 0.8)
    bench.ship()
    assert bench.reports.built == ["running"]
    for number in range(1, 6):
        story.trial(number, 0.8)
        story.summarise()
        bench.ship()
    assert bench.reports.built == ["running"]
    assert bench.ship(REPORT_EVERY) == 1  # nothing is new, but the report is old
    assert bench.reports.built == ["running"] * 2
    assert bench.ship(REPORT_EVERY) == 0
    story.finish(0, 0.8)
    bench.ship(0)
    assert bench.reports.built == ["running"] * 2 + ["finished"]
    assert bench.run.artifacts["report.html"] == b"report 3 of screw-noise"
    assert set(bench.run.artifacts) == {"report.html", "trials.csv"}


def test_a_study_that_runs_is_looked_at_now_and_then(bench: Bench, story: StudyStory) -> None:
    bench.ship()
    story.summarise()
    assert bench.ship(EVERY / 2) == 0
    assert bench.ship(EVERY / 2) == 1


def test_without_plots_the_rest_is_shown_and_what_is_missing_named(bench: Bench, story: StudyStory) -> None:
    bench.reports.error = MissingExtra("a report of a sweep", "worker")
    story.trial(0, 0.8)
    bench.ship()
    assert "adctl[worker]" in bench.run.tags["adctl.problem"]
    assert curve(bench.run, BEST) == {0: 0.8}
    assert story.store.studies.unshipped() == []


def test_one_strange_study_does_not_stop_the_others(
    stories: Stories, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    StudyStory(stories, name="one")
    StudyStory(stories, name="two")
    bench.reports.error = ValueError("strange")
    assert bench.ship() == 2
    assert len([record for record in caplog.records if "could not be shipped" in record.message]) == 2
    bench.reports.error = None
    bench.ship()
    assert stories.store.studies.unshipped() == []


# Its jobs


def test_the_jobs_of_a_study_are_shown_below_its_run(
    stories: Stories, bench: Bench, story: StudyStory
) -> None:
    story.trial(0)
    alone = stories.submit(tags={"sweep": "screw-noise"})  # a person's tag, and not of its group
    other = stories.submit(group="mine", tags={"sweep": "mine"})
    for job in (story.job(0), alone, other):
        stories.lease(job)
    Shipper(stories.store, stories.storage, bench.tracker, "s1", (), bench.runs.parent_of).once()
    runs = {run.job_id: run for run in bench.tracker.runs}
    assert runs[story.job(0).id].tags["mlflow.parentRunId"] == bench.run.id
    assert "mlflow.parentRunId" not in runs[alone.id].tags
    assert "mlflow.parentRunId" not in runs[other.id].tags
    assert bench.tracker.runs[0] is bench.run  # made before the run of its job
    assert "trial 0 of `screw-noise`" in runs[story.job(0).id].tags["mlflow.note.content"]


def test_thousands_of_trials_are_sent_once(bench: Bench, story: StudyStory) -> None:
    sent: list[int] = []
    inner = bench.tracker.log_points

    def log_points(run_id: str, points: list) -> None:
        sent.append(len(points))
        inner(run_id, points)

    bench.tracker.log_points = log_points  # type: ignore[method-assign,assignment]
    for number in range(300):
        story.trial(number, 0.5)
    bench.ship()
    story.trial(300, 0.5)
    story.summarise()
    bench.ship()
    story.summarise()
    bench.ship()
    assert sent == [300, 1]


# Whatever dies


class Killed(BaseException):
    """The shipper's process ended here."""


class Interrupted:
    """A tracker that fails before or after its n-th call."""

    def __init__(
        self, inner: MemoryTracker, at: int, error: Callable[[], BaseException], after: bool
    ) -> None:
        self.inner, self.at, self.error, self.after, self.calls = inner, at, error, after, 0

    def __getattr__(self, name: str):
        method = getattr(self.inner, name)

        def call(*arguments: object) -> object:
            self.calls += 1
            if self.calls == self.at and not self.after:
                raise self.error()
            answer = method(*arguments)
            if self.calls == self.at:
                raise self.error()
            return answer

        return call


CALLS = 8  # more than shipping one ended study makes
DEATHS = {
    "killed before": (Killed, False),
    "killed after": (Killed, True),
    "answer lost": (lambda: TrackingDown("away"), True),
}


@pytest.mark.parametrize(("error", "after"), DEATHS.values(), ids=list(DEATHS))
@pytest.mark.parametrize("at", range(1, CALLS))
def test_dying_at_any_call_leaves_one_run_and_one_point_per_trial(
    bench: Bench, story: StudyStory, at: int, error: Callable[[], BaseException], after: bool
) -> None:
    story.trial(0, 0.8)
    bench.again(Interrupted(bench.tracker, at, error, after))
    with contextlib.suppress(Killed, TrackingDown):
        bench.ship()
    story.trial(1, 0.9)
    story.finish(1, 0.9)
    bench.again(Interrupted(bench.tracker, at, error, after))
    with contextlib.suppress(Killed, TrackingDown):
        bench.ship()
    bench.again()
    bench.ship()
    assert curve(bench.run, BEST) == {0: 0.8, 1: 0.9}
    assert curve(bench.run, "test/image_auroc") == {2: 0.9}
    assert bench.run.state is RunState.FINISHED
    assert bench.run.tags["adctl.state"] == "finished"
    assert "report.html" in bench.run.artifacts
    assert story.store.studies.unshipped() == []


def test_the_interruption_test_covers_every_call(bench: Bench, story: StudyStory) -> None:
    counting = Interrupted(bench.tracker, -1, Killed, after=False)
    story.trial(0, 0.8)
    story.finish(0, 0.8)
    bench.again(counting)
    bench.ship()
    assert counting.calls < CALLS + 1


def test_an_outage_is_never_raised_and_nothing_is_lost(
    stories: Stories, bench: Bench, story: StudyStory
) -> None:
    story.trial(0, 0.8)
    story.finish(0, 0.8)
    away = Interrupted(bench.tracker, 1, lambda: TrackingDown("away"), after=False)
    bench.again(away)
    shipper = Shipper(stories.store, stories.storage, away, "s1", [bench.runs], bench.runs.parent_of)  # type: ignore[arg-type]
    shipper.once()
    assert story.store.studies.unshipped() != []
    stories.time += CLAIM + 1
    bench.now += EVERY
    shipper.once()
    assert story.store.studies.unshipped() == []
    assert curve(bench.run, BEST) == {0: 0.8}
