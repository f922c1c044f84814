"""A supervisor notices that a job's time is used up, and that the kernel wanted its memory."""

from collections.abc import Callable

from ad_platform.states import AttemptOutcome, Directive, FailureClass
from ad_workers import messages as say
from ad_workers.exits import Exit
from supervised import Scene


def test_a_child_that_the_kernel_killed_for_want_of_memory_counts_as_that(play):
    def kill(scene):
        scene.oom_kills += 1
        scene.end(-9)

    outcome = play({4: kill}).leases.outcome
    assert outcome.failure is FailureClass.OOM
    assert outcome.error.endswith("SIGKILL (signal 9), by the kernel for want of memory")


def test_a_crash_while_the_kernel_kills_others_is_a_crash(play):
    def crash(scene):
        scene.oom_kills += 1
        scene.end(-11)

    assert play({4: crash}).leases.outcome.failure is FailureClass.CRASH


def reports(until: int) -> dict[int, Callable[[Scene], None]]:
    return {t: (lambda scene, t=t: scene.say(say.Report(step=t, of=999))) for t in range(1, until, 20)}


def orders(scene: Scene) -> list[Directive]:
    return [message.directive for message in scene.heard() if isinstance(message, say.Order)]


def test_a_job_whose_time_is_up_may_write_a_checkpoint_and_ends_as_a_timeout(play):
    def checkpoint(scene):
        scene.say(say.CheckpointMade(step=41, prefix="p", manifest_sha256="m", size=1))
        scene.end(Exit.DRAINED)

    scene = play({**reports(40), 45: checkpoint}, time_left=40.0)
    assert orders(scene) == [Directive.DRAIN]
    assert scene.artifacts.recorded == [41]
    assert not scene.killed_before_its_end
    assert scene.leases.outcome.failure is FailureClass.TIMEOUT
    assert "time limit" in scene.leases.outcome.error


def test_a_child_that_goes_on_when_its_time_is_up_is_killed_after_the_grace(play):
    scene = play(reports(100), time_left=40.0)
    assert scene.killed_before_its_end
    assert 60 <= scene.now < 65
    assert scene.leases.outcome.failure is FailureClass.TIMEOUT
    assert scene.leases.calls[-1] == "finish"


def test_what_fails_while_its_time_runs_out_is_a_timeout_and_what_is_done_succeeds(play):
    def fail(scene):
        scene.say(say.Failed(failure=FailureClass.DISK, error="no room"))
        scene.end(Exit.FAILED)

    def finish(scene):
        scene.say(say.Done(result={}))
        scene.end(0)

    failed = play({**reports(20), 12: fail}, time_left=10.0).leases.outcome
    assert failed.failure is FailureClass.TIMEOUT
    done = play({**reports(20), 12: finish}, time_left=10.0).leases.outcome
    assert done.outcome is AttemptOutcome.SUCCEEDED


def test_a_job_that_has_no_time_left_when_it_is_leased_is_told_to_stop_at_once(play):
    scene = play({2: lambda scene: scene.end(Exit.DRAINED)}, time_left=-5.0)
    assert orders(scene) == [Directive.DRAIN]
    assert scene.leases.outcome.failure is FailureClass.TIMEOUT


def test_a_cancel_overrides_a_timeout(play):
    def cancel(scene):
        scene.leases.directive = Directive.CANCEL

    scene = play({**reports(30), 12: cancel}, time_left=10.0)
    assert orders(scene) == [Directive.DRAIN, Directive.CANCEL]
    assert scene.now < 12 + 5
