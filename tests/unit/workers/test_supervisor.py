"""A supervisor keeps the lease, passes directives on and judges the end; the clock is moved, not slept."""

import pytest

from ad_platform.errors import LeaseLost, StoreDown
from ad_platform.records import Outcome
from ad_platform.states import AttemptOutcome, Directive, FailureClass
from ad_workers import messages as say
from ad_workers.exits import Exit


def test_a_child_that_is_done_succeeds_with_its_result_and_last_progress(play):
    def finish(scene):
        scene.say(say.Report(step=9, of=9, metrics={"train/loss": 1.0}), say.Done(result={"bundle": "b"}))
        scene.end(0)

    scene = play({3: finish})
    assert scene.leases.outcome == Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"bundle": "b"})
    assert scene.leases.progress.step == 9


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (-11, FailureClass.CRASH),
        (1, FailureClass.CRASH),
        (Exit.LOST, FailureClass.LOST),
        (None, FailureClass.INFRA),
        (Exit.NO_MEMORY, FailureClass.OOM),
        (-9, FailureClass.CRASH),
    ],
)
def test_a_child_that_left_without_a_word_failed(play, status, failure):
    outcome = play({2: lambda scene: scene.end(status)}).leases.outcome
    assert (outcome.outcome, outcome.failure) == (AttemptOutcome.FAILED, failure)


def test_what_a_failing_child_said_is_what_the_store_hears(play):
    def fail(scene):
        scene.say(say.Failed(failure=FailureClass.DISK, error="no room for a checkpoint"))
        scene.end(Exit.FAILED)

    outcome = play({2: fail}).leases.outcome
    assert (outcome.failure, outcome.error) == (FailureClass.DISK, "no room for a checkpoint")


def test_the_lease_is_renewed_at_a_third_of_its_length_and_the_child_hears_its_new_end(play):
    scene = play({25: lambda scene: scene.end(0)})
    assert scene.leases.calls.count("renew") == 3  # at 10 and 20, and the last progress
    deadlines = [message.deadline for message in scene.heard() if isinstance(message, say.Deadline)]
    assert deadlines == sorted(deadlines)
    assert 30 < deadlines[0] <= 42


def test_progress_reaches_the_store_within_seconds_and_is_told_once(play):
    told = []

    def look(scene):
        told.append(scene.leases.progress)

    report = say.Report(step=1, of=9, images=8)
    scene = play({2: lambda s: s.say(report), 5: look, 9: lambda s: s.end(0)})
    assert [progress.step for progress in told] == [1]
    assert told[0].images == 8
    assert scene.leases.calls.count("renew") == 2  # the news, and the last progress
    assert scene.leases.calls.count("look") >= 2


def test_a_child_that_stops_reporting_is_killed_and_counts_as_stalled(play):
    scene = play({5: lambda scene: scene.say(say.Report(step=1, of=9))})
    assert scene.killed
    assert scene.leases.outcome.failure is FailureClass.STALLED
    assert scene.now < 100


def test_reports_keep_a_slow_child_alive(play):
    reports = {t: (lambda scene, t=t: scene.say(say.Report(step=t, of=999))) for t in range(50, 500, 50)}
    scene = play({**reports, 510: lambda scene: scene.end(0)})
    assert scene.leases.outcome.failure is FailureClass.CRASH  # it ended by itself, unkilled till then


def test_a_lost_lease_kills_the_child_and_writes_nothing(play):
    def lose(scene):
        def trouble(call):
            raise LeaseLost("job", 1)

        scene.leases.trouble = trouble

    scene = play({4: lose})
    assert scene.killed
    assert scene.leases.outcome is None
    assert "give_back" not in scene.leases.calls


def test_a_store_that_stays_down_fences_the_child_when_the_lease_ends(play):
    def down(scene):
        def trouble(call):
            raise StoreDown("no route to the store")

        scene.leases.trouble = trouble

    scene = play({4: down})
    assert scene.killed
    assert 30 <= scene.now < 35
    assert scene.leases.outcome is None


def test_a_store_that_comes_back_in_time_costs_nothing(play):
    def down(scene):
        def trouble(call):
            raise StoreDown("restarting")

        scene.leases.trouble = trouble

    def up(scene):
        scene.leases.trouble = lambda call: None

    def done(scene):
        scene.say(say.Done(result={}))
        scene.end(0)

    scene = play({4: down, 25: up, 40: done})
    assert scene.leases.outcome.outcome is AttemptOutcome.SUCCEEDED


def test_a_checkpoint_is_committed_once_the_store_is_back_and_before_the_end(play):
    def prepare(scene):
        scene.artifacts.trouble = [StoreDown("restarting"), StoreDown("restarting")]
        scene.supervisor.retain = lambda lease: scene.leases.calls.append("retain")

    def checkpoint(scene):
        for step in (5, 10):
            scene.say(say.CheckpointMade(step=step, prefix=f"p{step}", manifest_sha256="m", size=1))
        scene.say(say.Done(result={}))
        scene.end(0)

    scene = play({3: checkpoint}, prepare)
    assert scene.artifacts.recorded == [5, 10]
    assert scene.leases.calls[-4:] == ["retain", "retain", "renew", "finish"]


def test_a_cancel_reaches_the_child_and_one_that_obeys_ends_cancelled(play):
    def cancel(scene):
        scene.leases.directive = Directive.CANCEL

    scene = play({4: cancel, 7: lambda scene: scene.end(Exit.CANCELLED)})
    assert say.Order(directive=Directive.CANCEL) in scene.heard()
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED


def test_a_child_that_ignores_a_cancel_is_killed_within_five_seconds(play):
    def cancel(scene):
        scene.leases.directive = Directive.CANCEL

    scene = play({4: cancel})
    assert scene.killed
    assert scene.now < 4 + 5
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED


def test_a_prune_reaches_the_child_and_one_that_obeys_ends_cancelled_as_pruned(play):
    def prune(scene):
        scene.leases.directive = Directive.PRUNE

    scene = play({3: prune, 5: lambda scene: scene.end(Exit.PRUNED)})
    assert say.Order(directive=Directive.PRUNE) in scene.heard()
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED
    assert scene.leases.outcome.error.startswith("pruned")
    assert not scene.killed_before_its_end


def test_a_child_that_ignores_a_prune_is_killed_within_five_seconds_and_ends_as_pruned(play):
    def prune(scene):
        scene.leases.directive = Directive.PRUNE

    scene = play({4: prune})
    assert scene.killed_before_its_end
    assert scene.now < 4 + 5
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED
    assert scene.leases.outcome.error.startswith("pruned")
    assert scene.leases.outcome.failure is None


def test_a_trial_that_is_done_before_it_obeys_a_prune_has_succeeded(play):
    def prune(scene):
        scene.leases.directive = Directive.PRUNE

    def finish(scene):
        scene.say(say.Done(result={"metrics": {}}))
        scene.end(0)

    assert play({4: prune, 6: finish}).leases.outcome.outcome is AttemptOutcome.SUCCEEDED


@pytest.mark.parametrize("status", [Exit.DRAINED, None])
def test_a_prune_overrides_a_drain_and_is_not_given_back(play, status):
    def prune(scene):
        scene.leases.directive = Directive.PRUNE

    ends = {} if status is None else {8: lambda scene: scene.end(status)}
    scene = play({4: lambda scene: scene.drained.set(), 6: prune, **ends})
    orders = [message.directive for message in scene.heard() if isinstance(message, say.Order)]
    assert orders == [Directive.DRAIN, Directive.PRUNE]
    assert scene.leases.calls[-1] == "finish"
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED


def test_a_drain_does_not_soften_a_prune(play):
    def prune(scene):
        scene.leases.directive = Directive.PRUNE

    scene = play({4: prune, 5: lambda scene: scene.drained.set()})
    orders = [message.directive for message in scene.heard() if isinstance(message, say.Order)]
    assert orders == [Directive.PRUNE]
    assert scene.now < 4 + 5
    assert scene.leases.outcome.error.startswith("pruned")


def test_a_drained_child_gives_its_job_back(play):
    scene = play({4: lambda scene: scene.drained.set(), 8: lambda scene: scene.end(Exit.DRAINED)})
    assert say.Order(directive=Directive.DRAIN) in scene.heard()
    assert scene.leases.calls[-1] == "give_back"


def test_a_child_that_does_not_drain_in_time_is_killed_and_given_back_uncounted(play):
    scene = play({4: lambda scene: scene.drained.set()})
    assert scene.killed
    assert 24 <= scene.now < 30
    assert scene.leases.calls[-1] == "give_back"
    assert scene.leases.outcome is None


def preempt(scene):
    scene.leases.directive = Directive.PREEMPT


def test_a_preempted_child_checkpoints_and_its_job_is_given_back_as_preempted(play):
    scene = play({4: preempt, 8: lambda scene: scene.end(Exit.DRAINED)})
    assert say.Order(directive=Directive.DRAIN) in scene.heard()  # the child does the same in both cases
    assert scene.leases.calls[-1] == "give_back"
    assert (scene.leases.reason, scene.leases.preempted) == ("preempted", True)


def test_a_preempted_child_that_does_not_checkpoint_in_time_is_killed_and_given_back(play):
    scene = play({4: preempt})
    assert 24 <= scene.now < 30
    assert (scene.leases.calls[-1], scene.leases.preempted) == ("give_back", True)


def test_a_child_that_has_finished_when_it_is_preempted_has_succeeded(play):
    scene = play({4: preempt, 5: lambda scene: (scene.say(say.Done(result={})), scene.end(0))})
    assert scene.leases.outcome.outcome is AttemptOutcome.SUCCEEDED


def test_an_attempt_ends_soon_by_its_pace_since_it_went_on_or_because_it_was_told_to(play):
    seen = []

    def look(scene):
        seen.append(scene.supervisor.ends_within(30.0))

    def at(step):
        return lambda scene: scene.say(say.Report(step=step, of=1000))

    # From step 900 on: five steps in ten seconds leave 190 s, fifty 10 s.
    play({1: at(900), 5: look, 9: at(905), 10: look, 11: at(950), 12: look, 13: lambda scene: scene.end(1)})
    assert seen == [False, False, True]


def test_a_child_that_is_not_forked_yet_is_given_back_at_once_when_its_worker_drains(play):
    def drain(scene):
        scene.child.pid = None
        scene.drained.set()

    scene = play({4: drain})
    assert scene.now < 6
    assert scene.leases.calls[-1] == "give_back"


@pytest.mark.parametrize("status", [None, -2, -9, -15])
def test_what_ends_a_child_from_outside_while_its_worker_drains_is_no_failure(play, status):
    def told(scene):
        scene.drained.set()
        scene.end(status)

    assert play({4: told}).leases.calls[-1] == "give_back"


def test_a_cancel_overrides_a_drain(play):
    def cancel(scene):
        scene.leases.directive = Directive.CANCEL

    scene = play({4: lambda scene: scene.drained.set(), 6: cancel})
    orders = [message.directive for message in scene.heard() if isinstance(message, say.Order)]
    assert orders == [Directive.DRAIN, Directive.CANCEL]
    assert scene.leases.outcome.outcome is AttemptOutcome.CANCELLED


def test_the_scratch_folder_goes_with_the_attempt(play, tmp_path):
    (tmp_path / "scratch").mkdir()
    play({2: lambda scene: scene.end(0)})
    assert not (tmp_path / "scratch").exists()
