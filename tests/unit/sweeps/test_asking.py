"""What is asked of a sweep becomes a plan, or one line that says why not."""

import pytest

from ad_platform.errors import Conflict, InvalidRequest
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.sweeps import methods, objectives
from ad_platform.sweeps.study_spec import StudySpec
from sweepkit import DATA, METRIC, Field


def train(**more: object) -> TrainRequest:
    return TrainRequest(detector="slope", dataset=DATA, **more)  # type: ignore[arg-type]


def test_a_plan_says_what_is_searched_and_how_many_trainings_it_takes(ground: Field) -> None:
    plan = ground.sweeps.plan(ground.request())
    assert plan.name == "slope-screw-1"
    assert [each.words for each in plan.spec.space] == ["50:300:25", "0:12"]
    assert (plan.trainings, plan.points) == (1, None)
    assert plan.spec.objectives[0].words == f"{METRIC}:max"
    assert (plan.spec.sampler.words, plan.spec.pruner.words) == ("tpe", "median")
    assert plan.spec.scheduling.tags["selected_on"] == "validation"
    assert StudySpec.from_json(plan.spec.to_json()) == plan.spec
    assert ground.store.studies.search() == []


def test_trainings_are_counted_where_they_differ(ground: Field) -> None:
    assert ground.sweeps.plan(ground.request("steps=1:3", "w=0:1", seeds=2)).trainings == 6
    assert ground.sweeps.plan(ground.request("steps=1,5", "w=0:1")).trainings == 2


def test_names_are_made_in_a_row_and_a_name_in_use_is_refused(ground: Field) -> None:
    assert ground.submit(trials=1).name == "slope-screw-1"
    assert ground.submit(trials=1).name == "slope-screw-2"
    with pytest.raises(Conflict, match="there is a sweep named 'slope-screw-1' already; give another --name"):
        ground.submit(name="slope-screw-1")


def test_choosing_by_test_labels_is_possible_and_said(ground: Field) -> None:
    plan = ground.sweeps.plan(ground.request(objectives=["test/image_auroc"]))
    assert plan.spec.scheduling.tags["selected_on"] == "test"
    assert "promotion refuses them" in " ".join(plan.notes)


def test_a_published_preset_stays_tagged_by_what_its_settings_were_chosen_on(ground: Field) -> None:
    plan = ground.sweeps.plan(ground.request(train=train(preset="paper", holdout="10/10")))
    assert plan.spec.scheduling.tags["selected_on"] == "test"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"trials": 0}, "--trials must be from 1"),
        ({"parallel": 0}, "--parallel must be from 1"),
        ({"seeds": 0}, "--seeds must be from 1"),
        ({"sampler_seed": -1}, "--sampler-seed must be from 0"),
        ({"sampler": "tpee"}, "no sampler named 'tpee'; did you mean tpe?"),
        ({"sampler": "tpe:x=1"}, "no option of sampler tpe named 'x'"),
        ({"sampler": "tpe:n_startup_trials=many"}, "must be a whole number from 0"),
        ({"sampler": "tpe:5"}, "is written tpe:NAME=VALUE, not '5'"),
        ({"sampler": "qmc:qmc_type=sobel"}, "did you mean sobol?"),
        ({"sampler": "grid"}, "a grid needs steps, and w=0:12 has none"),
        ({"pruner": "medain"}, "no pruner named 'medain'; did you mean median?"),
        ({"pruner": "percentile:percentile=200"}, "must be a number from 0 to 100"),
        ({"objectives": ["validation/image_auro"]}, "did you mean validation/image_auroc"),
        ({"objectives": ["latency_ms:down"]}, "NAME:max or NAME:min"),
        ({"objectives": [METRIC, METRIC]}, "is given twice"),
        ({"objectives": [METRIC, "latency_ms"], "pruner": "median"}, "cannot be pruned"),
        ({"objectives": [METRIC, "latency_ms"], "sampler": "cmaes"}, "takes one objective, not 2"),
        ({"train": train(holdout="none")}, "--holdout 10/10"),
        ({"train": train(settings=["nois=3"])}, "no setting of slope named 'nois'"),
        ({"train": train(preset="tyni")}, "there are: paper, tiny"),
        ({"train": train(scheduling=Scheduling(tags={"trial": "1"}))}, "the tag trial is set by the sweep"),
        ({"train": train(scheduling=Scheduling(priority=1000))}, "priority"),
        ({"tested": False, "objectives": ["test/image_auroc"]}, "needs test images"),
        ({"name": "a b"}, "a sweep's name is made of"),
        ({"name": "@last"}, "a sweep's name is made of"),
        ({"warm_start": "none"}, "no sweep named 'none'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(
    ground: Field, more: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ground.submit(**more)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ground.store.studies.search() == []


def test_a_detector_that_declares_no_space_wants_one(ground: Field) -> None:
    from sweepkit import ENTRY

    ground.store.workers.publish({"slope": {**ENTRY, "space": {}}}, "w0")
    with pytest.raises(InvalidRequest, match="declares nothing to search; say what: --param NAME=a:b"):
        ground.submit()


def test_cmaes_needs_a_number(ground: Field) -> None:
    with pytest.raises(InvalidRequest, match="there are only choices"):
        ground.submit("mode=mean,max", sampler="cmaes")


def test_a_warm_start_from_a_sweep_over_something_else_is_refused(ground: Field) -> None:
    other = ground.submit("steps=1:5", trials=1)
    with pytest.raises(InvalidRequest, match="searched steps, and this one searches noise_step, w"):
        ground.submit(warm_start=other.name)
    timed = ground.submit(trials=1, objectives=["latency_ms"])
    with pytest.raises(InvalidRequest, match="compared latency_ms:min"):
        ground.submit(warm_start=timed.name)


def test_everything_that_is_named_can_be_made() -> None:
    for name in methods.SAMPLERS:
        assert methods.sampler(name.upper()).name == name
    for name in methods.PRUNERS:
        assert methods.pruner(name).name == name
    for name in objectives.METRICS:
        assert objectives.parse(name).metric == name
    assert (
        methods.sampler("tpe:n_startup_trials=3,n_ei_candidates=9").words
        == "tpe:n_startup_trials=3,n_ei_candidates=9"
    )
