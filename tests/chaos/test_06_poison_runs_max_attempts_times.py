"""A job that kills its process, or fills its memory, runs exactly `max_attempts` times: here real ones do.

All jobs of a module run beside each other on one worker, so that their pauses cost their time but once.
"""

import json
from dataclasses import dataclass

import pytest

from ad_platform.records import Attempt, Job
from ad_platform.specs import Json
from ad_platform.states import FailureClass, JobState, Sequel
from ground import Ground

pytestmark = pytest.mark.timeout(240)

EVERYDAY = "embedded"  # the rules themselves are tried on both databases in tests/contract/store

# What a job does to its process at step 5, the class of that, and words that must be in its error.
POISON: dict[str, tuple[FailureClass, str]] = {
    "segfault": (FailureClass.CRASH, "SIGSEGV"),
    "abort": (FailureClass.CRASH, "SIGABRT"),
    "exit": (FailureClass.CRASH, "code 3"),
    "limit": (FailureClass.OOM, "DefaultCPUAllocator: can't allocate memory"),  # RLIMIT_AS
    "memory": (FailureClass.OOM, "MemoryError"),
    "card": (FailureClass.OOM, "CUDA out of memory. Tried to hold 2 pictures"),  # already of 4
}
STOPS = {
    "nan": (FailureClass.NAN, "train/loss became nan at step 5"),
    "raise": (FailureClass.CODE, "marbles"),
}


@dataclass(frozen=True)
class Ward:
    """A platform, and the jobs that were run on it."""

    ground: Ground
    jobs: dict[str, str]

    def job(self, name: str) -> Job:
        """Return a job that has ended."""
        return self.ground.ended(self.jobs[name])

    def attempts(self, name: str) -> list[Attempt]:
        """Return the attempts of a job that has ended."""
        return self.ground.attempts(self.job(name).id)

    def facts(self, name: str, fact: str) -> list[Json]:
        """Return what each attempt of a job noted under a name."""
        return [attempt.facts.get(fact) for attempt in self.attempts(name)]


@pytest.fixture(scope="module")
def ward(stack: Ground) -> Ward:
    """A platform with poison, what can be cured, and what is not worth another attempt."""
    stack.platform.start_worker(slots=4)
    jobs = {name: stack.submit(trouble=name) for name in (*POISON, *STOPS)}
    jobs["cured"] = stack.submit(trouble="card", fits=2)
    jobs["healthy"] = stack.submit()
    jobs["once"] = stack.submit(trouble="abort", max_attempts=1)
    jobs["long"] = stack.submit(trouble="none", pause=0.25, steps=400, timeout=3.0)
    return Ward(stack, jobs)


@pytest.mark.parametrize("name", list(POISON))
def test_poison_runs_max_attempts_times_and_never_again(ward: Ward, name: str) -> None:
    job, (failure, error) = ward.job(name), POISON[name]
    assert (job.state, job.failure, job.failures, job.attempt) == (JobState.FAILED, failure, 3, 3)
    assert error in job.error
    assert "\n" not in job.error
    attempts = ward.attempts(name)
    assert [attempt.outcome.value for attempt in attempts] == ["failed"] * 3
    assert {attempt.failure for attempt in attempts} == {failure}
    # Each was a process of its own that made its way to the poison, the later ones from the checkpoint.
    assert [ward.ground.steps(job.id, number) for number in (1, 2, 3, 4)] == [[1, 2, 3, 4], [], [], []]
    assert ward.facts(name, "resumed_step") == [None, 4, 4]
    halved = failure is FailureClass.OOM
    first = Sequel.HALVE if halved else Sequel.RETRY
    assert [attempt.sequel for attempt in attempts] == [first, Sequel.RETRY, Sequel.EXHAUSTED]
    assert ward.facts(name, "batch_divisor") == ([None, 2, 2] if halved else [None] * 3)


def test_what_fits_in_halves_succeeds_at_the_second_attempt(ward: Ward) -> None:
    job = ward.job("cured")
    assert (job.state, job.failures, job.attempt) == (JobState.SUCCEEDED, 1, 2)
    assert ward.facts("cured", "batch_divisor") == [None, 2]
    assert [ward.ground.steps(job.id, number) for number in (1, 2)] == [[1, 2, 3, 4], list(range(5, 13))]
    assert [attempt.sequel for attempt in ward.attempts("cured")] == [Sequel.HALVE, None]


def test_what_is_well_is_not_harmed_by_poison_beside_it(ward: Ward) -> None:
    job = ward.job("healthy")
    assert (job.state, job.failures, job.attempt) == (JobState.SUCCEEDED, 0, 1)


@pytest.mark.parametrize("name", list(STOPS))
def test_what_would_fail_the_same_way_is_not_tried_again(ward: Ward, name: str) -> None:
    job, (failure, error) = ward.job(name), STOPS[name]
    assert (job.state, job.failure, job.attempt) == (JobState.FAILED, failure, 1)
    assert error in job.error
    assert [attempt.sequel for attempt in ward.attempts(name)] == [Sequel.STOP]


def test_one_attempt_may_be_all_there_is(ward: Ward) -> None:
    job = ward.job("once")
    assert (job.state, job.attempt) == (JobState.FAILED, 1)
    assert [attempt.sequel for attempt in ward.attempts("once")] == [Sequel.EXHAUSTED]


def test_a_job_ends_when_its_time_is_up_and_a_retry_goes_on_from_its_last_step(ward: Ward) -> None:
    job = ward.job("long")
    assert (job.state, job.failure, job.attempt) == (JobState.FAILED, FailureClass.TIMEOUT, 1)
    assert "its time limit of 3s is used up" in job.error
    (attempt,) = ward.attempts("long")
    assert attempt.ended_at is not None
    assert 3.0 <= attempt.ended_at - attempt.started_at < 15.0
    assert attempt.sequel is Sequel.STOP
    # It was given the time for a checkpoint of the very step it had reached.
    last = ward.ground.steps(job.id)[-1]
    again = ward.ground.client.store.jobs.retry(job.id)
    ward.ground.says(again.id, f"made step {last + 1}")
    ward.ground.client.store.jobs.cancel(again.id)


def test_show_and_why_tell_what_was_made_of_each_failure(ward: Ward) -> None:
    job, platform = ward.job("cured"), ward.ground.platform
    shown = platform("show", job.id)
    assert "CUDA out of memory. Tried to hold 4 pictures" in shown
    assert "tried again, its batches computed in halves" in shown
    assert "its batches were computed in 2 parts" in shown
    told = json.loads(platform("show", job.id, "--json"))
    assert [attempt["sequel"] for attempt in told["attempts"]] == ["halve", None]
    assert told["batch_divisor"] == 2
    poison = ward.job("segfault")
    why = platform("why", poison.id)
    assert "it is not tried again after 3 of 3 failures" in why
    assert f"adctl logs {poison.id}" in why
    reasons = json.loads(platform("why", poison.id, "--json"))
    assert [one["sequel"] for one in reasons["failures"]] == ["retry", "retry", "exhausted"]


def test_nothing_runs_on_once_all_have_ended(ward: Ward) -> None:
    counts = {name: len(ward.attempts(name)) for name in ward.jobs}
    store = ward.ground.client.store
    assert store.jobs.search(states=[JobState.QUEUED, JobState.RUNNING]) == []
    assert store.outbox.owed() == []
    assert counts == {name: ward.job(name).attempt for name in ward.jobs}
