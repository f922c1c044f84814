"""What goes wrong in a child is told with its class and cause, and tried again only where that may help."""

import pytest

from ad_platform.states import FailureClass, JobState
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def test_a_job_that_hangs_is_tried_exactly_max_attempts_times(land: Ground):
    land.ended(land.submit())  # by then torch is loaded, so that the silence is the job's own
    job = land.submit(trouble="hang", max_attempts=2, stall_after=3.0)
    ended = land.ended(job)
    assert (ended.state, ended.failure, ended.failures) == (JobState.FAILED, FailureClass.STALLED, 2)
    assert "no report for" in ended.error
    assert land.outcomes(job) == ["failed", "failed"]
    assert [attempt.facts.get("resumed_step") for attempt in land.attempts(job)] == [None, 4]


@pytest.mark.parametrize(
    ("trouble", "failure", "error"),
    [
        ("nan", FailureClass.NAN, "train/loss became nan at step 5"),
        ("raise", FailureClass.CODE, "RuntimeError: the detector lost its marbles"),
    ],
)
def test_what_would_fail_again_is_tried_once(land: Ground, trouble, failure, error):
    job = land.submit(trouble=trouble)
    ended = land.ended(job)
    assert (ended.state, ended.failure) == (JobState.FAILED, failure)
    assert error in ended.error
    assert land.outcomes(job) == ["failed"]
    shown = land.platform("show", job)
    assert error in shown
    assert failure.value in shown


def test_a_setting_that_the_worker_refuses_fails_at_once_with_its_name(land: Ground):
    from dataclasses import replace

    (planned,) = land.client.plan_train(land.asked(land.pictures()))
    spec = replace(planned.spec, config={**planned.spec.config, "steps": 0})  # a client of another version
    land.client.hold(spec.dataset)
    job = land.client.submit([replace(planned, spec=spec)]).jobs[0].id
    ended = land.ended(job)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.CONFIG)
    assert "steps" in ended.error
    assert land.outcomes(job) == ["failed"]


def test_a_truncated_picture_fails_the_job_with_the_name_of_the_file(land: Ground):
    pictures = land.pictures("truncated")
    broken = pictures / "train" / "good" / "2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    job = land.submit(pictures=pictures)
    ended = land.ended(job)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.DATA)
    assert str(broken) in ended.error
    assert land.outcomes(job) == ["failed"]
    assert not land.stored(job)


def test_pictures_that_changed_after_the_submit_fail_the_job(land: Ground):
    pictures = land.pictures("changing")
    request = land.asked(pictures)
    picture = pictures / "train" / "good" / "2.png"
    picture.write_bytes((pictures / "train" / "good" / "1.png").read_bytes() + b" ")
    job = land.send(request).jobs[0].id
    ended = land.ended(job)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.DATA)
    assert f"the images in {pictures} changed since the job was submitted" in ended.error
    assert land.outcomes(job) == ["failed"]


def test_what_a_detector_prints_can_be_read_with_the_cause_of_its_end(land: Ground):
    job = land.submit(trouble="raise")
    land.ended(job)
    log = land.platform("logs", job)
    assert "made step 4" in log
    assert "Traceback" in log
    assert "lost its marbles" in log
