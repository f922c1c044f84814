"""A sweep goes on to its end whatever dies on the way, and its sums add up in the store and in Optuna."""

import pytest

from ad_platform.states import FailureClass, JobKind, JobState, StudyState, TrialOrigin, TrialState
from store_cases import CANCELLED
from sweepkit import METRIC, SPACE, Field, sums


def test_a_sweep_over_scores_alone_trains_once_and_finds_the_best(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=24, parallel=4))
    view = sums(ground, study)
    assert (study.state, view.asked, view.complete) == (StudyState.FINISHED, 24, 24)
    trials = ground.sweeps.trials(study)
    best = max(trials, key=lambda each: (each.trial.values or (0.0,))[0])
    assert view.best is not None
    assert view.best.trial.number == best.trial.number
    # One training for all of them; the best and the preset are trained from its stages.
    assert view.trainings == 1
    needed = {need for each in trials for job in each.jobs for need in job.needs}
    assert len(needed) == 1
    assert [job.name for job in ground.trained][:1] == [f"{study.name} training"]
    assert len(ground.trained) == 3


def test_trials_with_other_trainings_need_one_for_each(ground: Field) -> None:
    study = ground.run(ground.submit("steps=1,2,3", "w=0:12", trials=9, parallel=3, sampler="random"))
    steps = {each.trial.params["steps"] for each in ground.sweeps.trials(study)}
    assert sums(ground, study).trainings == len(steps)


def test_the_best_is_trained_and_evaluated_beside_the_preset(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=6))
    view = sums(ground, study)
    assert view.best is not None
    assert view.final["number"] == view.best.trial.number
    trained = ground.store.jobs.get(str(view.final["train"]))
    assert trained.spec.config["w"] == view.best.trial.params["w"]
    assert (trained.kind, trained.spec.measures) == (JobKind.TRAIN, ())
    assert trained.tags["selected_on"] == "validation"
    metrics, preset = view.final["metrics"], view.final["preset"]
    assert isinstance(metrics, dict)
    assert isinstance(preset, dict)
    assert "test/image_auroc" in metrics
    assert ground.store.jobs.get(str(preset["evaluate"])).spec.config["w"] == 1.0


def test_as_many_trials_run_as_are_wanted_at_a_time(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=9, parallel=4)
    advancer = ground.advancer()
    for _ in range(3):
        advancer.advance(study.id)
    assert sums(ground, study).running == 4
    ground.work(3)  # the training and two trials
    advancer.advance(study.id)
    assert (sums(ground, study).running, sums(ground, study).complete) == (4, 2)


def test_two_that_advance_one_study_do_not_both(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=9)
    assert ground.store.studies.claim(study.id, "somebody", 60)
    assert not ground.advancer().advance(study.id)
    assert ground.store.studies.trials(study.id) == []


def test_each_trial_is_proposed_by_a_seed_of_its_own_and_the_same_anywhere(ground: Field) -> None:
    one, two = (
        ground.run(ground.submit(*SPACE, trials=8, parallel=8, sampler="random", name=name))
        for name in ("one", "two")
    )
    first, second = ([t.trial.params for t in ground.sweeps.trials(study)] for study in (one, two))
    assert first == second
    assert len({str(params) for params in first}) == 8


def test_a_failed_trial_is_told_and_the_others_go_on(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=4, parallel=1)
    advancer = ground.advancer()
    advancer.advance(study.id)
    ground.work(1)
    lease = ground.lease()
    assert lease is not None
    ground.fail(lease)
    view = sums(ground, ground.run(study))
    assert (view.complete, view.failed) == (3, 1)
    failed = ground.store.studies.trials(study.id, [TrialState.FAILED])[0]
    assert "it broke" in failed.error


def test_a_cancelled_trial_has_failed(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=2, parallel=1)
    ground.advancer().advance(study.id)
    ground.client.cancel(ground.sweeps.trials(study)[0].jobs[0].id)
    assert sums(ground, ground.run(study)).failed == 1


def test_retry_runs_the_failed_trials_once_more_in_their_place(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=4, parallel=2)
    advancer = ground.advancer()
    advancer.advance(study.id)
    ground.work(1)
    for _ in range(2):
        lease = ground.lease()
        assert lease is not None
        ground.fail(lease)
    study = ground.run(study)
    assert (sums(ground, study).failed, sums(ground, study).complete) == (2, 2)
    again = ground.sweeps.retry(study.name)
    assert [trial.number for trial in again] == [0, 1]
    study = ground.run(ground.store.studies.get(study.id))
    view = sums(ground, study)
    assert (view.asked, view.complete, view.failed) == (6, 4, 2)
    retried = [t.trial for t in ground.sweeps.trials(study) if t.trial.origin is TrialOrigin.RETRY]
    assert [trial.retry_of for trial in retried] == [0, 1]
    failed = ground.store.studies.trials(study.id)[:2]
    assert [trial.params for trial in retried] == [trial.params for trial in failed]
    origins = [t.jobs[0].retry_of for t in ground.sweeps.trials(study) if t.trial.retry_of is not None]
    assert origins == [t.jobs[0].id for t in ground.sweeps.trials(study)[:2]]


def test_a_training_that_failed_is_tried_again_when_somebody_asks_and_not_for_each_trial(
    ground: Field,
) -> None:
    study = ground.submit(*SPACE, trials=5, parallel=1)
    ground.advancer().advance(study.id)
    lease = ground.lease()
    assert lease is not None
    ground.fail(lease, FailureClass.CODE)
    study = ground.run(study)
    assert (sums(ground, study).failed, len(ground.trained)) == (5, 0)
    ground.sweeps.retry(study.id)
    study = ground.run(ground.store.studies.get(study.id))
    view = sums(ground, study)
    assert (view.complete, view.failed) == (5, 5)
    assert sum(job.name.endswith("training") for job in ground.trained) == 1


def test_a_later_sweep_takes_over_the_training_of_an_earlier_one(ground: Field) -> None:
    ground.run(ground.submit(*SPACE, trials=3))
    before = len(ground.trained)
    later = ground.run(ground.submit(*SPACE, trials=3))
    assert sums(ground, later).trainings == 0
    assert len(ground.trained) == before + 2  # the best, and the preset


def test_settings_that_do_not_go_together_count_for_nothing(ground: Field) -> None:
    study = ground.run(ground.submit("noise_step=50:500:25", "levels=100:500:50", trials=6, sampler="random"))
    view = sums(ground, study)
    assert (view.asked, view.complete) == (6, 6)
    assert view.ruled_out > 0
    for each in ground.sweeps.trials(study):
        if each.jobs:
            assert each.trial.params["noise_step"] <= each.trial.params["levels"]  # type: ignore[operator]


def test_repeats_with_other_seeds_are_one_trial_by_their_mean(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=2, seeds=3))
    trials = ground.sweeps.trials(study)
    assert [[job.spec.seed for job in each.jobs] for each in trials] == [[0, 1, 2]] * 2
    assert sums(ground, study).trainings == 3
    means = [sum(ground.value(job.spec.config) for job in each.jobs) / 3 for each in trials]
    assert [each.trial.values for each in trials] == [(pytest.approx(mean),) for mean in means]


def test_one_failed_repeat_ends_the_others(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=1, seeds=2)
    advancer = ground.advancer()
    advancer.advance(study.id)
    ground.work(1)  # the first training, and then its trial before the second training
    lease = ground.lease()
    assert lease is not None
    assert lease.job.kind is JobKind.TRIAL
    ground.fail(lease)
    advancer.advance(study.id)
    assert [job.state for job in ground.sweeps.trials(study)[0].jobs] == [JobState.FAILED, JobState.CANCELLED]
    assert sums(ground, study).failed == 1


def test_a_trial_that_falls_behind_is_pruned_and_says_where(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=8, parallel=1, pruner="median:n_startup_trials=2")
    advancer = ground.advancer()
    leases = []
    for number in range(4):
        advancer.advance(study.id)
        if number == 0:
            ground.work(1)
        lease = ground.lease()
        assert lease is not None
        leases.append(lease)
        ground.show(lease, [0.9, 0.9] if number < 3 else [0.5])
        advancer.advance(study.id)
        if number < 3:
            ground.do(lease)
    assert ground.store.jobs.get(leases[-1].job_id).prune_requested
    ground.store.leases.finish(leases[-1], CANCELLED)
    advancer.advance(study.id)
    pruned = ground.store.studies.trials(study.id, [TrialState.PRUNED])
    assert [(trial.values, trial.error) for trial in pruned] == [((0.5,), "after rung 1")]
    assert sums(ground, ground.run(study)).pruned == 1


def test_several_objectives_leave_a_front(ground: Field) -> None:
    study = ground.run(
        ground.submit(*SPACE, trials=8, objectives=[METRIC, "latency_ms:min"], sampler="nsgaii")
    )
    view = sums(ground, study)
    assert view.front
    assert view.best is not None
    assert view.best.trial.number in view.front
    assert len(view.best.trial.values or ()) == 2


def test_a_grid_tries_every_point_once(ground: Field) -> None:
    study = ground.run(ground.submit("noise_step=50:150:50", "w=0:4:2", trials=50, sampler="grid"))
    points = [tuple(each.trial.params.values()) for each in ground.sweeps.trials(study)]
    assert len(points) == 9
    assert len(set(points)) == 9


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "gp", "qmc", "random", "nsgaii"])
def test_every_sampler_proposes_another_point_each_time(ground: Field, sampler: str) -> None:
    study = ground.run(ground.submit(*SPACE, trials=14, parallel=3, sampler=sampler))
    assert sums(ground, study).complete == 14
    assert len({str(each.trial.params) for each in ground.sweeps.trials(study)}) == 14


@pytest.mark.parametrize(
    "pruner", ["none", "median", "percentile:percentile=30", "asha", "hyperband", "patient"]
)
def test_every_pruner_lets_a_sweep_come_to_its_end(ground: Field, pruner: str) -> None:
    study = ground.submit(*SPACE, trials=10, parallel=2, pruner=pruner)
    advancer = ground.advancer()
    for _ in range(40):
        advancer.advance(study.id)
        if (lease := ground.lease()) is None:
            break
        if lease.job.kind is JobKind.TRIAL:
            ground.show(lease, [ground.value(lease.job.spec.config)] * 3)
            advancer.advance(study.id)
        ground.do(lease)
    assert sums(ground, ground.run(study)).asked == 10


def test_a_warm_start_knows_the_trials_of_another_sweep(ground: Field) -> None:
    first = ground.run(ground.submit(*SPACE, trials=5))
    plan = ground.sweeps.plan(
        ground.request("noise_step=50:300:50", "w=0:6", trials=3, warm_start=first.name)
    )
    assert "trials of sweep" in " ".join(plan.notes)
    view = sums(ground, ground.run(ground.sweeps.submit(plan)))
    fitting = [
        t
        for t in ground.sweeps.trials(first)
        if t.trial.params["w"] <= 6 and t.trial.params["noise_step"] % 50 == 0  # type: ignore[operator]
    ]
    assert (view.warm, view.complete, view.asked) == (len(fitting), 3, 3)


def test_a_paused_sweep_asks_for_nothing_and_goes_on_when_resumed(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=6, parallel=2)
    advancer = ground.advancer()
    advancer.advance(study.id)
    ground.sweeps.pause(study.name)
    ground.work()
    advancer.advance(study.id)
    assert sums(ground, study).complete == 2
    assert ground.store.studies.to_advance() == []
    ground.sweeps.resume(study.name)
    assert sums(ground, ground.run(study)).complete == 6


def test_a_finished_sweep_is_extended_and_concluded_anew(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=3))
    first = sums(ground, study).final
    study = ground.run(ground.sweeps.extend(study.name, trials=12))
    view = sums(ground, study)
    assert (view.asked, view.wanted) == (15, 15)
    assert view.best is not None
    assert view.final["number"] == view.best.trial.number
    assert view.final != first or view.best.trial.number < 3


def test_a_stopped_sweep_trains_its_best_and_a_cancelled_one_makes_nothing(ground: Field) -> None:
    stopped, cancelled = (ground.submit(*SPACE, trials=20, parallel=2, name=name) for name in ("a", "b"))
    advancer = ground.advancer()
    for study in (stopped, cancelled):
        advancer.advance(study.id)
    ground.work()
    for study in (stopped, cancelled):
        advancer.advance(study.id)
    ground.sweeps.stop("a")
    ground.sweeps.cancel("b")
    assert ground.run(stopped).state is StudyState.FINISHED
    view = sums(ground, ground.store.studies.get(stopped.id))
    assert (view.complete, view.failed, view.wanted) == (2, 2, 4)
    assert "train" in view.final
    advancer.advance(cancelled.id)
    assert ground.store.studies.get("b").state is StudyState.STOPPED
    assert sums(ground, cancelled).running == 0
    assert ground.store.jobs.search(group="b", states=[JobState.QUEUED, JobState.WAITING]) == []


def test_a_summary_that_was_not_kept_is_made_again(ground: Field) -> None:
    study = ground.run(ground.submit(*SPACE, trials=4))
    kept = study.summary
    assert ground.store.studies.claim(study.id, "x", 60)
    ground.store.studies.summarise(study.id, "x", {})
    ground.store.studies.release(study.id, "x")
    ground.advancer().advance(study.id)
    again = ground.store.studies.get(study.id).summary
    assert again["best"] == kept["best"]
    assert again["ties"] == kept["ties"]
