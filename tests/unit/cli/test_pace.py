"""Promises of how fast a watched job is said to come on."""

from dataclasses import replace

import pytest

from ad_cli.pace import Pace
from ad_platform.records import Job, Progress
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import JobKind, JobState

DATA = DatasetRef(dataset="parts", category="screw", fingerprint="0", path="/x")
JOB = Job(
    id="1",
    seq=1,
    spec=JobSpec(kind=JobKind.TRAIN, detector="toy", dataset=DATA),
    state=JobState.RUNNING,
    user="kim",
    attempt=1,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def look(clock: Clock):
    pace = Pace(clock)

    def at(now: float, step: int, images: int = 0, of: int = 100, attempt: int = 1):
        clock.now = now
        return pace.speed(replace(JOB, attempt=attempt, progress=Progress(step=step, of=of, images=images)))

    return at


def test_nothing_is_said_of_the_speed_before_two_steps_were_seen(look):
    assert look(0, 1).steps is None
    assert look(1, 1).left is None


def test_steps_and_images_a_second_and_the_time_left_come_from_what_was_seen(look):
    look(0, 10, 80)
    speed = look(2, 20, 160)

    assert (speed.steps, speed.images, speed.left) == (5.0, 40.0, 16.0)


def test_the_time_left_runs_on_between_two_pieces_of_news(look):
    look(0, 10)
    look(2, 20)

    assert look(3, 20).left == 15.0


def test_only_the_last_minute_counts(look):
    for second in range(0, 101, 10):
        look(second, second // 10)  # a step in ten seconds
    for second in range(101, 200):
        speed = look(second, second - 90, of=1000)  # then one a second

    assert speed.steps == pytest.approx(1.0)


def test_a_further_attempt_that_goes_on_from_an_earlier_step_is_measured_anew(look):
    look(0, 10, 80)
    look(2, 20, 160)

    assert look(40, 15, 0, attempt=2).steps is None
    assert look(42, 17, 16, attempt=2).steps == 1.0


def test_reading_images_before_the_first_step_slows_nothing_down(look):
    look(0, 0, of=0)
    look(60, 1)

    assert look(61, 2).left == 98.0


def test_a_job_that_gives_no_news_gets_slower_and_then_is_said_to_be_silent(look):
    look(0, 10)
    quick = look(2, 20)
    stuck = look(42, 20)

    assert stuck.silent == 40
    assert stuck.steps < quick.steps / 10
