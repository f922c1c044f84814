"""The best model of a group, for each category, by a named measure."""

import pytest

from ad_platform.errors import Conflict, UnknownName
from ad_platform.records import Job
from ad_platform.registry.groups import best_of, exists
from job_stories import Stories


def model(
    stories: Stories,
    category: str,
    validation: float,
    test: float = 0.9,
    ms: float = 10.0,
    group: str = "night",
) -> Job:
    """A model of the group that was evaluated."""
    job = stories.submit(category=category, fingerprint=category * 3, group=group)
    done = stories.succeed(stories.lease(job), {"state.safetensors": "w", "config.json": "{}"}, {})
    evaluation = stories.submit_evaluation(done, group=group)
    metrics = {"validation/image_auroc": validation, "test/image_auroc": test}
    stories.succeed(stories.lease(evaluation), {"results.csv": ""}, metrics, ms_per_image=ms)
    return done


def test_each_category_has_its_own_best(stories: Stories) -> None:
    model(stories, "bottle", 0.7)
    bottle, screw = model(stories, "bottle", 0.9), model(stories, "screw", 0.6)
    model(stories, "bottle", 0.99, group="other")
    found = best_of(stories.store, "night")
    assert [(one.category, one.job.id, one.among) for one in found] == [
        ("mvtec/bottle", bottle.id, 2),
        ("mvtec/screw", screw.id, 1),
    ]
    assert found[0].to_json() == {
        "by": "validation/image_auroc",
        "value": 0.9,
        "among": 2,
        "group": "night",
    }


def test_a_measure_may_be_named_short_and_costs_count_the_other_way_round(stories: Stories) -> None:
    quick, good = model(stories, "bottle", 0.7, 0.8, ms=5.0), model(stories, "bottle", 0.9, 0.7, ms=50.0)
    by = {
        name: best_of(stories.store, "night", name)[0].job.id
        for name in ("image_auroc", "test/image_auroc", "ms_per_image", "latency_ms")
    }
    assert by == {
        "image_auroc": good.id,
        "test/image_auroc": quick.id,
        "ms_per_image": quick.id,
        "latency_ms": quick.id,
    }


def test_one_category_can_be_asked_for(stories: Stories) -> None:
    model(stories, "bottle", 0.7)
    screw = model(stories, "screw", 0.6)
    for name in ("screw", "Screw", "mvtec/screw"):
        assert [one.job.id for one in best_of(stories.store, "night", category=name)] == [screw.id]
    with pytest.raises(UnknownName, match="did you mean screw"):
        best_of(stories.store, "night", category="scrw")


def test_of_equals_the_first_is_taken(stories: Stories) -> None:
    first = model(stories, "bottle", 0.9)
    model(stories, "bottle", 0.9)
    assert best_of(stories.store, "night")[0].job.id == first.id


def test_a_measure_that_is_not_there_is_answered_with_the_nearest(stories: Stories) -> None:
    model(stories, "bottle", 0.9)
    with pytest.raises(UnknownName, match=r"did you mean .*validation/image_auroc"):
        best_of(stories.store, "night", "validation/image_auc")


def test_a_group_without_evaluations_has_no_best(stories: Stories) -> None:
    stories.submit(group="young")
    assert exists(stories.store, "young")
    assert not exists(stories.store, "nobody")
    with pytest.raises(Conflict, match="no model of young is evaluated yet"):
        best_of(stories.store, "young")
