"""Promises of `adctl cancel` and `adctl retry`, of one job, of several, and of all."""

from dataclasses import replace

import pytest

from ad_cli import retrying
from ad_platform.records import Outcome
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from clientkit import Bench


@pytest.fixture
def submit(adctl, screw):
    def ask(*more: str) -> list[str]:
        called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json", *more)
        return [job["id"] for job in called.json["jobs"]]

    return ask


def end(desk: Bench, outcome: AttemptOutcome, failure: FailureClass | None = None) -> None:
    desk.store.leases.finish(desk.lease(), Outcome(outcome=outcome, failure=failure))


def test_cancelling_an_ended_job_says_how_it_ended(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    end(desk, AttemptOutcome.SUCCEEDED)

    called = adctl("cancel", job)

    assert called.code == 3
    assert called.err == f"error: job {job} succeeded already; there is nothing to cancel\n"


def test_cancelling_a_training_says_that_its_evaluation_ended_too(adctl, submit):
    train, evaluate = submit()

    called = adctl("cancel", train)

    assert called.out == f"{train[:8]}  train toy on parts/screw: cancelled\n"
    assert f"{evaluate[:8]}  evaluate toy on parts/screw: cannot run without it" in called.err


def test_cancel_all_ends_what_is_mine_and_leaves_the_rest(adctl, desk: Bench, submit):
    waiting, queued = submit()[::-1]
    (running,) = submit("--no-evaluate", "--priority", "9")
    assert desk.lease().job_id == running

    only_queued = adctl("cancel", "--all", "--state", "Queued", "--json").json
    rest = adctl("cancel", "--all", "-q").out.split()

    assert [job["id"] for job in only_queued] == [queued]
    assert rest == [running]
    assert desk.store.jobs.get(waiting).state is JobState.FAILED
    assert desk.store.jobs.get(running).cancel_requested


def test_cancel_all_leaves_other_peoples_jobs_alone(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    desk.client.settings = replace(desk.client.settings, user="ann")

    called = adctl("cancel", "--all")

    assert (called.code, called.out) == (0, "")
    assert "nothing of yours" in called.err
    assert desk.store.jobs.get(job).state is JobState.QUEUED


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which job?"),
        (["--state", "queued"], "add --all"),
        (["@last", "--all"], "not both"),
        (["--all", "--state", "failed"], "cannot be cancelled"),
    ],
)
def test_a_cancel_that_names_nothing_or_too_much_is_refused(adctl, submit, arguments, words):
    submit("--no-evaluate")
    called = adctl("cancel", *arguments)

    assert called.code == 2
    assert words in called.err
    assert adctl("list", "-q", "-s", "cancelled").out == ""


def test_several_jobs_are_retried_though_one_cannot_be(adctl, desk: Bench, submit):
    first, second = submit("--no-evaluate")[0], submit("--no-evaluate", "--seed", "1")[0]
    adctl("cancel", first)

    called = adctl("retry", second, first, "--json")

    assert called.code == 3
    assert f"job {second} is queued; it can be retried once it has failed" in called.err
    assert [job["retry_of"] for job in called.json] == [first]


def test_a_retry_waits_until_what_was_told_to_end_has_ended(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    lease = desk.lease()
    adctl("cancel", job)
    ended = Outcome(outcome=AttemptOutcome.CANCELLED)
    desk.client._pause = lambda seconds: desk.store.leases.finish(lease, ended)

    called = adctl("retry", job, "--json")

    assert (called.code, called.json["retry_of"]) == (0, job)
    assert f"{job[:8]} is being cancelled" in called.err


def test_a_retry_of_what_does_not_end_says_what_to_do(adctl, desk: Bench, submit, monkeypatch):
    (job,) = submit("--no-evaluate")
    desk.lease()
    adctl("cancel", job)
    looks = []
    desk.client._pause = looks.append
    monkeypatch.setattr(retrying, "PATIENCE", 0.2)

    called = adctl("retry", job)

    assert called.code == 3
    assert f"error: job {job} is still being cancelled" in called.err
    assert f"adctl why {job}" in called.err
    assert looks
    assert desk.store.jobs.get(job).state is JobState.RUNNING


def test_retrying_what_succeeded_says_how_to_have_a_new_one(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    end(desk, AttemptOutcome.SUCCEEDED)

    called = adctl("retry", "@last")

    assert called.code == 3
    assert f"adctl submit --from {job}" in called.err


def test_a_retry_can_be_waited_for(adctl, desk: Bench, submit):
    (job,) = submit("--no-evaluate")
    end(desk, AttemptOutcome.FAILED, FailureClass.NAN)
    desk.client._pause = lambda seconds: end(desk, AttemptOutcome.SUCCEEDED)

    called = adctl("retry", job, "--wait")

    assert called.code == 0
    assert "goes on for" in called.out
    assert "succeeded" in called.out.splitlines()[-1]
