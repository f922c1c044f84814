"""One run per job and one point per step, whatever dies in between."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ad_platform.errors import TrackingDown
from ad_platform.job_report import page_of as page_of_job
from ad_platform.records import Job, Outcome
from ad_platform.states import AttemptOutcome, FailureClass
from ad_platform.storage.metrics import segments
from ad_platform.tracking.memory import MemoryTracker, Run
from ad_platform.tracking.protocol import RunState
from ad_platform.tracking.shipper import CLAIM, Shipper
from ad_workers.retention import retain_newest
from job_stories import START, Stories


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


def ship(stories: Stories, tracker: object, owner: str = "s1") -> int:
    return Shipper(stories.store, stories.storage, tracker, owner).once()  # type: ignore[arg-type]


def steps(run: Run, metric: str = "train/loss") -> list[int]:
    return sorted(step for step, _, _ in run.points.get(metric, ()))


def test_a_job_that_has_not_started_has_no_run(stories: Stories) -> None:
    stories.submit()
    tracker = MemoryTracker()
    assert ship(stories, tracker) == 1
    assert ship(stories, tracker) == 0
    assert tracker.runs == []


def test_a_running_job_shows_exactly_its_committed_steps(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    ship(stories, tracker)
    (run,) = tracker.runs
    assert (run.state, steps(run)) == (RunState.RUNNING, [])
    first = stories.checkpoint(lease, 3)
    ship(stories, tracker)
    stories.checkpoint(lease, 5, first)
    ship(stories, tracker)
    assert steps(run) == [1, 2, 3, 4, 5]
    assert run.points["train/loss"] >= {(2, int((START + 1002) * 1000), 0.5)}
    assert run.experiment == "mvtec/bottle"
    assert run.started_at == START


@pytest.mark.parametrize("restarted", [False, True])
def test_a_roll_back_neither_doubles_the_steps_that_are_shown_nor_loses_those_that_are_not(
    stories: Stories, restarted: bool
) -> None:
    tracker = MemoryTracker()
    job = stories.submit()
    first = stories.lease(job)
    four = stories.checkpoint(first, 4)
    shipper = Shipper(stories.store, stories.storage, tracker, "s1")
    stories.checkpoint(first, 6, four)
    shipper.once()
    (run,) = tracker.runs
    assert steps(run) == [1, 2, 3, 4, 5, 6]
    shown = set(run.points["train/loss"])
    # The checkpoint of step 6 turns out broken: the next attempt goes on from step 4, in other strides.
    stories.time += 100
    stories.store.leases.reap()
    second = stories.lease(job)
    stories.store.leases.note(second, {"resumed_from": four.prefix})
    for last in (5, 7, 8):
        four = stories.checkpoint(second, last, four)
        retain_newest(stories.storage, stories.store, second)
        shipper = Shipper(stories.store, stories.storage, tracker, "s2") if restarted else shipper
        shipper.once()
    assert steps(run) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert shown < set(run.points["train/loss"])
    assert "adctl.problem" not in run.tags


@pytest.mark.parametrize("restarted", [False, True])
def test_points_that_could_not_be_read_are_shown_once_they_were_measured_again(
    stories: Stories, restarted: bool
) -> None:
    tracker = MemoryTracker()
    job = stories.submit()
    first = stories.lease(job)
    four = stories.checkpoint(first, 4)
    shipper = Shipper(stories.store, stories.storage, tracker, "s1")
    shipper.once()
    eight = stories.checkpoint(first, 8, stories.checkpoint(first, 6, four))
    (lost,) = [each for each in segments(eight) if each.first == 5]
    stories.storage.write(lost.path, b"{}")
    shipper.once()
    (run,) = tracker.runs
    assert steps(run) == [1, 2, 3, 4, 7, 8]
    assert "000000005-000000006-a1.jsonl has changed" in run.tags["adctl.problem"]
    stories.time += 100
    stories.store.leases.reap()
    second = stories.lease(job)
    for last in (5, 9):
        four = stories.checkpoint(second, last, four)
        shipper = Shipper(stories.store, stories.storage, tracker, "s2") if restarted else shipper
        shipper.once()
    assert steps(run) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_finished_job_shows_everything_about_it(stories: Stories) -> None:
    tracker = MemoryTracker()
    job = stories.trained(0.875, tags={"line": "7"})
    ship(stories, tracker)
    train, evaluation = tracker.runs
    assert train.params == {"image_size": "32", "w": "3.5", "layers": "[1, 2]", "feature.skip": "True"}
    expected = {
        "adctl.job_id": job.id,
        "adctl.state": "succeeded",
        "adctl.kind": "train",
        "adctl.attempts": "1",
        "adctl.spec_key": job.spec.key,
        "adctl.detector": "ddad",
        "adctl.preset": "tiny",
        "adctl.seed": "7",
        "adctl.dataset_fingerprint": "f" * 64,
        "adctl.selected_on": "none",
        "adctl.code.version": "0.1.0",
        "adctl.code.diff": "d" * 64,
        "adctl.host": "n1",
        "adctl.device": "cpu",
        "adctl.threads": "2",
        "mlflow.source.git.commit": "abc123",
        "mlflow.user": "ann",
        "line": "7",
    }
    assert expected.items() <= train.tags.items()
    assert train.inputs == {"f" * 64}
    assert (train.state, train.ended_at) == (RunState.FINISHED, job.finished_at)
    assert json.loads(train.artifacts["config.json"])["config"]["w"] == 3.5
    assert train.artifacts["model/state.safetensors"] == b"weights"
    rows = train.artifacts["curves.csv"].decode().splitlines()
    assert rows[0] == "step,time,system/cpu,train/loss"
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(1, len(rows)))
    assert len(rows) > 1
    assert "state.safetensors" in json.loads(train.artifacts["model/manifest.json"])
    assert train.artifacts["log.txt"] == b"--- attempt 1 ---\nattempt 1 starts\n"
    assert steps(train) == [1, 2, 3, 4]  # the result's own train/loss adds no point
    assert {value for _, _, value in evaluation.points["image_auroc"]} == {0.875}
    assert evaluation.artifacts["results/results.csv"] == b"a,b\n"
    assert evaluation.tags["adctl.source"] == job.id


def test_steps_of_a_rolled_back_attempt_are_never_shown(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    kept = stories.checkpoint(lease, 3)
    ship(stories, tracker)
    stories.storage.write("jobs/x/metrics/000000004-000000009-a1.jsonl", b"written, never committed")
    stories.time += 120
    stories.store.leases.reap()
    again = stories.lease(lease.job, "w2")
    stories.checkpoint(again, 6, kept)
    ship(stories, tracker)
    (run,) = tracker.runs
    assert steps(run) == [1, 2, 3, 4, 5, 6]
    times = {step: time for step, time, _ in run.points["train/loss"]}
    assert times[3] == int((START + 1003) * 1000)
    assert times[4] == int((START + 2004) * 1000)
    assert run.tags["adctl.attempts"] == "2"


def test_a_job_that_is_queued_again_stays_running(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    stories.store.leases.give_back(lease, "drained")
    ship(stories, tracker)
    assert tracker.runs[0].state is RunState.RUNNING


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_failed_and_cancelled_jobs_end_their_runs(stories: Stories, end: str) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    stories.checkpoint(lease, 2)
    outcome = Outcome(outcome=AttemptOutcome(end), failure=FailureClass.CODE, error="went wrong")
    stories.store.leases.finish(lease, outcome)
    ship(stories, tracker)
    (run,) = tracker.runs
    assert run.state is {"failed": RunState.FAILED, "cancelled": RunState.KILLED}[end]
    assert steps(run) == [1, 2]
    assert "model/manifest.json" not in run.artifacts


def test_a_job_cancelled_before_it_started_has_an_ended_run(stories: Stories) -> None:
    tracker = MemoryTracker()
    stories.store.jobs.cancel(stories.submit().id)
    ship(stories, tracker)
    assert [run.state for run in tracker.runs] == [RunState.KILLED]


CALLS = 10  # more than shipping one ended job makes


DEATHS = {
    "killed before": (Killed, False),
    "killed after": (Killed, True),
    "answer lost": (lambda: TrackingDown("away"), True),
}


@pytest.mark.parametrize(("error", "after"), DEATHS.values(), ids=list(DEATHS))
@pytest.mark.parametrize("at", range(1, CALLS))
def test_dying_at_any_call_leaves_one_run_and_one_point_per_step(
    stories: Stories, at: int, error: Callable[[], BaseException], after: bool
) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    before = stories.checkpoint(lease, 3)
    with contextlib.suppress(Killed):
        ship(stories, Interrupted(tracker, at, error, after))
    # Meanwhile the checkpoint is lost, and another attempt measures the same steps at other times.
    stories.storage.remove(before.prefix)
    stories.time += CLAIM + 60
    stories.store.leases.reap()
    again = stories.lease(lease.job, "w2")
    stories.checkpoint(again, 5)
    stories.succeed(again, {"state.safetensors": "w"}, {"image_auroc": 0.9})
    with contextlib.suppress(Killed):
        ship(stories, Interrupted(tracker, at, error, after), "s2")
    stories.time += CLAIM + 1
    assert ship(stories, tracker, "s3") <= 1
    (run,) = tracker.runs
    for metric in ("train/loss", "system/cpu"):
        assert steps(run, metric) == [1, 2, 3, 4, 5]
    assert steps(run, "image_auroc") == [0]
    assert run.state is RunState.FINISHED
    assert run.tags["adctl.state"] == "succeeded"
    assert "log.txt" in run.artifacts


def test_the_interruption_test_covers_every_call(stories: Stories) -> None:
    counting = Interrupted(MemoryTracker(), -1, Killed, after=False)
    stories.trained(None)
    ship(stories, counting)
    assert counting.calls < CALLS + 1


def test_an_outage_is_never_raised_and_nothing_is_lost(stories: Stories) -> None:
    tracker = MemoryTracker()
    stories.trained(None)
    stories.trained(None)
    assert ship(stories, Interrupted(tracker, 1, lambda: TrackingDown("away"), after=False)) == 0
    stories.time += CLAIM + 1
    assert ship(stories, tracker) == 2
    assert [steps(run) for run in tracker.runs] == [[1, 2, 3, 4]] * 2


def test_one_strange_job_does_not_stop_the_others(stories: Stories, caplog: pytest.LogCaptureFixture) -> None:
    tracker = MemoryTracker()
    stories.trained(None)
    stories.trained(None)
    ship(stories, Interrupted(tracker, 2, lambda: ValueError("strange"), after=False))
    assert [run.state for run in tracker.runs] == [RunState.RUNNING, RunState.FINISHED]
    assert "could not be shipped" in caplog.text


def test_two_shippers_never_take_the_same_job(stories: Stories) -> None:
    stories.trained(None)
    assert stories.store.shipments.claim("other", CLAIM)
    assert ship(stories, MemoryTracker()) == 0


def test_a_broken_segment_is_named_and_the_rest_is_shown(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    first = stories.checkpoint(lease, 3)
    stories.checkpoint(lease, 5, first)
    stories.storage.write(f"jobs/{lease.job_id}/metrics/000000001-000000003-a1.jsonl", b"{}")
    ship(stories, tracker)
    (run,) = tracker.runs
    assert steps(run) == [4, 5]
    assert "000000001-000000003-a1.jsonl has changed" in run.tags["adctl.problem"]


def test_a_broken_model_is_named_and_the_run_still_ends(stories: Stories) -> None:
    tracker = MemoryTracker()
    job = stories.trained(None)
    stories.storage.remove(str(job.result["bundle"]))
    ship(stories, tracker)
    (run,) = tracker.runs
    assert run.state is RunState.FINISHED
    assert "it was never finished, or was removed" in run.tags["adctl.problem"]


def test_a_run_made_anew_is_filled_from_the_first_step(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    first = stories.checkpoint(lease, 3)
    ship(stories, tracker)
    tracker.runs[0].job_id = "deleted"
    stories.checkpoint(lease, 4, first)
    ship(stories, tracker)
    assert steps(tracker.runs[1]) == [1, 2, 3, 4]


def test_a_retried_job_shows_the_whole_curve_in_a_run_of_its_own(stories: Stories) -> None:
    tracker = MemoryTracker()
    lease = stories.lease(stories.submit())
    first = stories.checkpoint(lease, 3)
    stories.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DISK))
    again = stories.lease(stories.store.jobs.retry(lease.job_id))
    stories.checkpoint(again, 5, first)
    ship(stories, tracker)
    assert [steps(run) for run in tracker.runs] == [[1, 2, 3], [1, 2, 3, 4, 5]]


def test_the_page_about_an_evaluation_is_shown_with_it_and_with_its_fit(stories: Stories) -> None:
    tracker, asked = MemoryTracker(), []

    def page_of(job: Job, folder: Path) -> str:
        asked.append((job.id, sorted(path.name for path in folder.iterdir())))
        return f"about {job.id}"

    stories.trained(0.875)
    Shipper(stories.store, stories.storage, tracker, "s1", page_of=page_of).once()
    train, evaluation = tracker.runs
    (job, files), *_ = asked
    assert len(asked) == 1
    assert "results.csv" in files
    assert evaluation.artifacts["report.html"] == train.artifacts["report.html"] == f"about {job}".encode()


def test_a_page_that_cannot_be_made_keeps_no_run_open(stories: Stories) -> None:
    tracker = MemoryTracker()

    def page_of(job: Job, folder: Path) -> str:
        raise ValueError("strange scores")

    stories.trained(0.875)
    Shipper(stories.store, stories.storage, tracker, "s1", page_of=page_of).once()
    _, evaluation = tracker.runs
    assert evaluation.state is RunState.FINISHED
    assert evaluation.tags["adctl.problem"] == "no report.html could be made: strange scores"
    assert "results/results.csv" in evaluation.artifacts


def test_the_page_as_it_is_made_is_among_the_files_of_a_run(stories: Stories) -> None:
    tracker = MemoryTracker()
    stories.trained(0.875)
    pages = partial(page_of_job, stories.store, stories.storage)
    Shipper(stories.store, stories.storage, tracker, "s1", page_of=pages).once()
    _, evaluation = tracker.runs
    assert b"Can this detector be used?" in evaluation.artifacts["report.html"]
    assert "adctl.problem" not in evaluation.tags
