"""What can be asked of a benchmark, and what is said to whoever asks for something else."""

from dataclasses import replace
from typing import Any

import pytest

from ad_platform.errors import Conflict, InvalidRequest, InvalidValue, UnknownName
from ad_platform.requests import Scheduling
from benchmark_cases import CATEGORIES, Yard, data


def labels(yard: Yard, **more: Any) -> list[str]:
    return [one.label for one in yard.benchmarks.plan(yard.request(**more)).spec.models]


def test_a_plan_has_a_cell_for_every_model_category_and_seed(yard: Yard) -> None:
    plan = yard.benchmarks.plan(yard.request(seeds=2, seed=7))
    assert len(plan.spec.cells) == 2 * 3 * 2 == len(plan.missing)
    assert plan.spec.seeds == (7, 8)
    assert {(one.model, one.category) for one in plan.spec.cells} == {
        (model, category) for model in ("toy", "other") for category in ("screw", "carpet", "grid")
    }
    assert len({one.address for one in plan.spec.cells}) == 12
    assert plan.name == "mvtec-1"


def test_models_are_named_with_their_presets_where_that_tells_them_apart(yard: Yard) -> None:
    assert labels(yard) == ["toy", "other"]
    assert labels(yard, models=["TOY:Tiny", "toy:large"]) == ["toy:tiny", "toy:large"]
    assert labels(yard, models=["toy"], presets=["tiny", "large"]) == ["toy:tiny", "toy:large"]
    assert labels(yard, models=["toy:large", "other"], presets=["tiny"]) == ["toy:large", "other"]


def test_the_settings_of_a_published_preset_are_those_of_each_category(yard: Yard) -> None:
    plan = yard.benchmarks.plan(yard.request(models=["toy:paper"], categories=CATEGORIES[:2], seeds=1))
    assert [one.spec.config["lr"] for one in plan.wanted] == [0.2, 0.1]
    assert {one.spec.holdout for one in plan.wanted} == {"none"}
    with pytest.raises(UnknownName, match="no category in preset 'paper' named 'grid'"):
        yard.benchmarks.plan(yard.request(models=["toy:paper"]))


def test_a_setting_is_for_every_model_or_for_one(yard: Yard) -> None:
    plan = yard.benchmarks.plan(yard.request(settings=["lr=0.5", "other.image_size=32"], seeds=1))
    found = {one.model: (one.spec.config["lr"], one.spec.config["image_size"]) for one in plan.wanted}
    assert found == {"toy": (0.5, 16), "other": (0.5, 32)}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"models": ["tyo"]}, "no detector named 'tyo'; did you mean toy"),
        ({"models": []}, "say which models: --model NAME"),
        ({"models": ["toy:"]}, "'toy:' names no preset; write toy:PRESET"),
        ({"models": ["toy:tinny"]}, "no preset of toy named 'tinny'; did you mean tiny"),
        ({"models": ["toy", "toy"]}, "toy:tiny is named twice"),
        ({"categories": []}, "say which images: --dataset NAME"),
        ({"categories": [CATEGORIES[0], CATEGORIES[0]]}, "the category mvtec/screw is named twice"),
        ({"settings": ["tiy.lr=0.5"]}, "no model of this benchmark named 'tiy'; did you mean toy"),
        ({"settings": ["toy.lrr=0.5"]}, "no setting of toy named 'lrr'; did you mean lr"),
        ({"seeds": 0}, "--seeds must be from 1 to 100, not 0"),
        ({"seeds": 100, "categories": [data(f"c{n}") for n in range(11)]}, "2200 cells are too many"),
        ({"name": "a b"}, "a benchmark's name is made of"),
        ({"scheduling": Scheduling(tags={"benchmark": "x"})}, "the tag benchmark is set by the platform"),
        ({"holdout": "most"}, "a holdout is two percentages"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(yard: Yard, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        yard.benchmarks.plan(yard.request(**more))


def test_a_setting_that_one_model_lacks_is_for_one_alone(yard: Yard) -> None:
    entry = {**yard.store.workers.catalogue()["other"]}  # type: ignore[dict-item]
    entry["schema"] = {"type": "object", "properties": {"image_size": {"type": "integer", "default": 8}}}
    entry["presets"] = {"tiny": {"image_size": 16}}
    yard.store.workers.publish({"other": entry}, "w0")
    with pytest.raises(InvalidRequest, match=r"other has no setting 'lr'; .* -S toy.lr=VALUE"):
        yard.benchmarks.plan(yard.request(settings=["lr=0.5"]))


def test_categories_of_one_name_are_told_apart_by_their_datasets(yard: Yard) -> None:
    both = [CATEGORIES[0], data("screw", "parts")]
    plan = yard.benchmarks.plan(yard.request(categories=both))
    assert [place.label for place in plan.spec.categories] == ["mvtec/screw", "parts/screw"]
    assert plan.name == "mvtec-parts-1"


def test_a_name_in_use_by_something_else_is_refused(yard: Yard) -> None:
    yard.submit(name="tables")
    with pytest.raises(Conflict, match="there is another benchmark named 'tables' already"):
        yard.benchmarks.plan(yard.request(name="tables", seeds=1))
    yard.submit(name="other", key="k", seeds=1)
    with pytest.raises(Conflict, match="the key 'k' stands for benchmark other, which is another one"):
        yard.benchmarks.plan(yard.request(key="k"))
    with pytest.raises(InvalidValue, match="@last"):
        yard.benchmarks.plan(yard.request(name="@last", seed=3))


def test_a_spec_survives_json(yard: Yard) -> None:
    plan = yard.benchmarks.plan(yard.request(models=["toy:paper", "other"], categories=CATEGORIES[:2]))
    spec = replace(plan.spec, scheduling=Scheduling(tags={"a": "b"}, queue="gpu"))
    assert type(spec).from_json({**spec.to_json(), "newer": 1}) == spec
