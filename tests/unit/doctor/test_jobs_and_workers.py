"""Jobs that run for nobody, that nobody hears of, that wait for nothing: named exactly, and mended."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from ad_platform.doctor.findings import Level
from ad_platform.doctor.jobs import circles
from ad_platform.records import Outcome
from ad_platform.states import AttemptOutcome, JobState
from ad_platform.store.tables import edges, jobs
from ward import Ward, killed


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    made = Ward(tmp_path)
    yield made
    made.close()


def state_of(ward: Ward, job_id: str) -> JobState:
    return ward.store.jobs.get(job_id).state


def test_nothing_is_wrong_with_jobs_at_work(ward: Ward) -> None:
    ward.register("w1", os.getpid())
    job = ward.stories.submit()
    ward.stories.submit_evaluation(job)
    ward.stories.lease(job)
    ward.stories.submit()
    assert ward.look("jobs", "workers") == []


def test_a_job_whose_lease_ran_out_is_taken_back(ward: Ward) -> None:
    ward.register("w1", os.getpid())
    job = ward.stories.submit()
    lease = ward.stories.lease(job)
    ward.wait(100)

    mended = ward.mends(("expired-lease", job.id), names=["jobs"])

    assert "its lease ran out 40 s ago" in mended.attempted[0].finding.words
    assert state_of(ward, job.id) is JobState.QUEUED
    assert ward.store.jobs.attempts(job.id)[0].outcome is AttemptOutcome.LOST
    assert lease.attempt == 1


@pytest.mark.parametrize("known", [True, False])
def test_the_lease_of_a_killed_or_unknown_worker_is_waited_for_and_never_cut_short(
    ward: Ward, known: bool
) -> None:
    if known:
        ward.register("w1", killed())
    job = ward.stories.submit()
    ward.stories.lease(job)
    ward.wait(20)
    before = ward.stories.time

    mended = ward.mends(("dead-holder", job.id), names=["jobs"])

    assert ("is dead" if known else "no such worker") in mended.attempted[0].finding.words
    assert ward.stories.time >= before + 40
    assert state_of(ward, job.id) is JobState.QUEUED


def test_a_lease_that_is_renewed_while_it_is_waited_for_is_left_alone(ward: Ward) -> None:
    ward.register("w1", killed())
    job = ward.stories.submit()
    lease = ward.stories.lease(job)

    def wait(seconds: float) -> None:
        ward.wait(seconds / 2)
        ward.store.leases.renew(lease)
        ward.wait(seconds / 2)

    ward.ground.pause = wait
    mended = ward.fix("jobs")

    assert not mended.attempted[0].fixed
    assert "somebody holds it" in mended.attempted[0].said
    assert ward.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED)).state is (
        JobState.SUCCEEDED
    )


def test_a_queued_job_nobody_was_told_of_is_rung_for(tmp_path: Path) -> None:
    ward = Ward(tmp_path, {"ADCTL_BROKER_URL": "redis://127.0.0.1:1/0"})
    job = ward.stories.submit()
    ward.heard()
    ward.wait(300)

    (mended,) = ward.mends(("unheard-job", job.id), names=["jobs"]).attempted

    assert (
        mended.said == "a ring for queue default is owed, and made once the broker answers"
    )  # there is none here
    assert [one.job_id for one in ward.store.outbox.owed()] == [job.id]
    ward.close()


def test_a_job_whose_needs_have_ended_goes_on_or_fails(ward: Ward) -> None:
    good, bad = ward.stories.submit(), ward.stories.submit()
    free, doomed = ward.stories.submit_evaluation(good), ward.stories.submit_evaluation(bad)
    ended = {"finished_at": ward.stories.time}
    ward.sql(
        update(jobs).where(jobs.c.id == good.id).values(state=JobState.SUCCEEDED, **ended),
        update(jobs).where(jobs.c.id == bad.id).values(state=JobState.FAILED, **ended),
    )

    ward.mends(("ended-needs", free.id), ("ended-needs", doomed.id), names=["jobs"])

    assert state_of(ward, free.id) is JobState.QUEUED
    assert state_of(ward, doomed.id) is JobState.FAILED


def test_a_circle_of_needs_is_a_problem_that_names_its_jobs_and_is_not_mended(ward: Ward) -> None:
    job = ward.stories.submit()
    other = ward.stories.submit_evaluation(job)
    ward.heard()
    ward.sql(
        update(jobs).where(jobs.c.id == job.id).values(state=JobState.WAITING),
        insert(edges).values(job_id=job.id, need_id=other.id, position=0),
    )

    (found,) = ward.look("jobs")

    assert (found.level, found.kind, found.mending) == (Level.PROBLEM, "needs-cycle", None)
    assert job.id in found.words
    assert other.id in found.words
    ward.store.jobs.cancel(found.remedy.split()[-1])  # as it says
    assert ward.look("jobs") == []


def test_circles_are_found_among_long_rows() -> None:
    row = [(str(n), str(n + 1)) for n in range(5000)]
    assert circles(row) == []
    found = circles([*row, ("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("x", "x"), ("0", "d")])
    assert sorted(map(sorted, found)) == [["a", "b", "c"], ["x"]]


def test_an_attempt_left_open_is_closed_so_that_the_job_can_be_leased(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.stories.lease(job)
    ward.sql(update(jobs).where(jobs.c.id == job.id).values(state=JobState.QUEUED, lease_until=None))
    ward.store.outbox.remind(0.0)

    ward.mends(("open-attempt", f"{job.id}/1"), names=["jobs"])

    assert ward.stories.lease(job).attempt == 2


def test_an_attempt_number_that_fell_behind_is_raised(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.store.leases.give_back(ward.stories.lease(job), "drained")
    ward.sql(update(jobs).where(jobs.c.id == job.id).values(attempt=0))

    ward.mends(("attempt-number", job.id), names=["jobs"])

    assert ward.stories.lease(job).attempt == 2


def test_failures_without_attempts_are_told(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.store.leases.give_back(ward.stories.lease(job), "drained")
    ward.sql(update(jobs).where(jobs.c.id == job.id).values(failures=1))
    (found,) = ward.look("jobs")
    assert (found.kind, found.mending) == ("attempts-lost", None)
    assert "counts 1 attempts and 1 failures, and its records show 0 failures" in found.words


def test_a_worker_that_was_killed_is_recorded_as_gone_and_one_elsewhere_has_its_time(ward: Ward) -> None:
    ward.register("here", killed())
    ward.register("alive", os.getpid())
    ward.register("far", 1, node="n2")
    assert ward.look("workers") == []  # seen a moment ago
    ward.wait(60)
    ward.mends(("silent-worker", "here"), names=["workers"])
    assert {one.id: one.state for one in ward.store.workers.roster(silence=1e9)} == {
        "here": "gone",
        "alive": "online",
        "far": "online",
    }
    ward.wait(600)
    ward.mends(("silent-worker", "alive"), ("silent-worker", "far"), names=["workers"])


def test_two_doctors_at_once_do_no_harm(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.stories.lease(job)
    ward.wait(100)
    found = ward.look("jobs")
    again = ward.look("jobs")
    for finding in (*found, *again):
        assert finding.mending is not None
        finding.mending.do()
    assert ward.store.jobs.get(job.id).failures == 1
    assert len(ward.store.jobs.attempts(job.id)) == 1


def test_many_findings_are_bounded_and_all_mended_in_rounds(ward: Ward) -> None:
    ward.ground.most = 5
    made = [ward.stories.submit() for _ in range(12)]
    for job in made:
        ward.stories.lease(job)
    ward.wait(100)
    assert len(ward.look("jobs")) == 5
    ward.fix("jobs")
    assert ward.look("jobs") == []
    assert all(state_of(ward, job.id) is JobState.QUEUED for job in made)
