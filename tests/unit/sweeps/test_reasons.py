"""What `why` says of a sweep, whatever keeps it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.records import WorkerRecord
from ad_platform.specs import Submission
from ad_platform.states import JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.reasons import SweepReasons, explain_sweep, sweep_warnings
from ad_platform.sweeps.viewing import sweep_view
from clientkit import Bench, bench
from sweep_stories import DATA, Sweep, holding, spec_of

POINT = {"lr": 0.01, "image_size": 16, "mode": "mean"}


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        made.store.workers.hold([holding(DATA)])
        yield made


@pytest.fixture
def night(desk: Bench) -> Sweep:
    return Sweep.of(desk.store, "night", wanted=5, parallel=2)


def why(desk: Bench, sweep: Sweep) -> SweepReasons:
    study = desk.store.studies.get(sweep.study.id)
    return explain_sweep(desk.client, sweep_view(desk.store, study), desk.store.studies.trials(study.id))


def kinds(desk: Bench, sweep: Sweep) -> list[str]:
    return [cause.kind.value for cause in why(desk, sweep).causes]


def online(desk: Bench, slots: int = 1, **more: object) -> None:
    usual = WorkerRecord(id="w1", node="here", pid=1, slots=slots, detectors=("toy",))
    desk.store.workers.register(replace(usual, **more))  # type: ignore[arg-type]


def test_without_a_worker_the_sweep_waits_for_one(desk: Bench, night: Sweep) -> None:
    assert why(desk, night).lines == (
        "no worker is online, so the sweep waits; start one with: adctl worker start (or adctl up)",
    )


def test_what_the_workers_lack_is_named_before_there_is_any_job(desk: Bench, night: Sweep) -> None:
    online(desk, detectors=("other",))
    assert kinds(desk, night) == ["no-detector"]
    online(desk, queues=("gold",))
    assert kinds(desk, night) == ["no-queue"]
    online(desk, node="there")
    assert kinds(desk, night) == ["no-data"]


def test_a_sweep_that_could_go_on_says_what_comes_next(desk: Bench, night: Sweep) -> None:
    online(desk)
    assert kinds(desk, night) == ["ready"]
    assert "asks for the next of 5 trials" in why(desk, night).lines[0]


def test_once_all_trials_have_ended_what_is_left_is_made_of_it(desk: Bench, night: Sweep) -> None:
    online(desk)
    for _ in range(5):
        night.tried(POINT, 0.9)
    assert "makes what is left of it" in why(desk, night).lines[0]


def test_a_paused_sweep_says_what_goes_on_and_how_it_is_resumed(desk: Bench, night: Sweep) -> None:
    online(desk)
    night.run(night.ask(POINT))
    desk.store.studies.steer(night.study.id, state=StudyState.PAUSED)

    assert kinds(desk, night) == ["paused", "running"]
    assert why(desk, night).lines[0] == (
        "it is paused: it asks for no more trials, and the one that runs goes on; "
        "let it go on with: adctl sweep resume night"
    )


def test_a_queued_trial_is_explained_as_a_job_is(desk: Bench, night: Sweep) -> None:
    online(desk)
    night.run(night.ask(POINT))
    desk.store.queues.pause("default", "ann", "lunch")
    second = night.ask(POINT)

    text = "\n".join(why(desk, night).lines)

    assert kinds(desk, night) == ["running", "paused"]
    assert f"1 job is queued: {night.jobs[second][0].id} (trial toy on parts/screw)" in text
    assert "\n  the queue 'default' is paused, by ann" in text


def test_trials_that_wait_for_a_training_are_counted_behind_it(desk: Bench, night: Sweep) -> None:
    online(desk)
    asked = Submission(
        spec=replace(night.spec.job, kind=JobKind.TRAIN, measures=()),
        user="kim",
        key="stage/a",
        group="night",
    )
    (training,) = desk.store.jobs.submit([asked])
    desk.lease()
    night.ask(POINT, needs=[training.id])
    night.ask(POINT, needs=[training.id])

    assert kinds(desk, night) == ["running", "needs"]
    assert why(desk, night).lines[1] == (
        f"2 jobs wait for job {training.id} (train toy on parts/screw), which is running"
    )


def test_free_slots_that_the_sweep_may_not_use_are_told(desk: Bench, night: Sweep) -> None:
    online(desk, slots=8)
    for _ in range(2):
        night.run(night.ask(POINT))

    assert kinds(desk, night) == ["running", "parallel"]
    assert why(desk, night).lines[1] == (
        "it may have 2 trials at a time, and 6 slots are free; "
        "let it have more: adctl sweep extend night --parallel 8"
    )


def test_a_sweep_whose_last_trials_run_is_not_told_to_have_more(desk: Bench, night: Sweep) -> None:
    online(desk, slots=8)
    desk.store.studies.steer(night.study.id, wanted=1, parallel=1)
    night.run(night.ask(POINT))

    assert kinds(desk, night) == ["running"]


def test_the_newest_failure_is_told_but_not_what_was_ruled_out_or_is_run_again(
    desk: Bench, night: Sweep
) -> None:
    online(desk)
    night.tried(POINT, state=TrialState.FAILED, error="the loss is nan")
    night.tried(POINT, state=TrialState.FAILED, error="the disk is full")
    night.remember(TrialOrigin.RULED_OUT, TrialState.FAILED, POINT, error="lr is too high")

    past = why(desk, night).past
    desk.store.studies.retry(night.study.id)

    assert past == (
        "2 trials failed, the last of them trial 1: the disk is full; all of them: "
        "adctl sweep trials night --state failed; once more: adctl retry night",
    )
    assert why(desk, night).past == ()


def test_how_a_sweep_ended_is_told_with_what_may_come_of_it(desk: Bench, night: Sweep) -> None:
    stopped, empty = Sweep.of(desk.store, "stopped"), Sweep.of(desk.store, "empty")
    desk.store.studies.steer(stopped.study.id, state=StudyState.STOPPED)
    night.tried(POINT, 0.9)
    night.finish(number=0)
    empty.tried(POINT, state=TrialState.FAILED, error="it broke")
    empty.finish()

    assert [kinds(desk, sweep) for sweep in (stopped, night, empty)] == [
        ["stopped"],
        ["finished"],
        ["failed"],
    ]
    assert "adctl sweep resume stopped" in why(desk, stopped).lines[0]
    assert "with 1 of 1 trials complete" in why(desk, night).lines[0]
    assert "none of its 1 trials completed; run the failed ones again" in why(desk, empty).lines[0]


def test_warnings_are_what_somebody_has_to_do_first(desk: Bench) -> None:
    assert sweep_warnings(desk.client, spec_of())[0].startswith("no worker is online")
    online(desk)
    assert sweep_warnings(desk.client, spec_of()) == []
    desk.store.queues.pause("default", "ann", "lunch")
    assert "is paused, by ann" in sweep_warnings(desk.client, spec_of())[0]
