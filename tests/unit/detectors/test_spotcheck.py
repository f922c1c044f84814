"""A few pictures scored again are mixed, drawn by a seed, and must score the same but for rounding."""

import numpy as np
import pytest
import torch

from ad_detectors.evaluation import PartialEvaluation, evaluate, spotcheck
from ad_detectors.evaluation.parts import Part, parts_of
from ad_detectors.metrics.ranking import auroc
from evaluation_cases import fitted, held_out, split
from gradual_mean import GradualMean


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    return fitted()


@pytest.fixture
def parts() -> list[Part]:
    return parts_of(split(normal=9, defects={"cut": 6, "hole": 5}), held_out(3), held_out(2, seed=9))


def scored(detector: GradualMean, parts: list[Part]) -> PartialEvaluation:
    partial = PartialEvaluation()
    test = split(normal=9, defects={"cut": 6, "hole": 5})
    evaluate(detector, test, done=partial, validation=held_out(3), calibration=held_out(2, seed=9))
    return partial


def test_pictures_of_both_classes_are_drawn_by_a_seed(parts: list[Part]) -> None:
    drawn = {seed: spotcheck.chosen(parts, None, seed) for seed in map(str, range(40))}
    assert drawn["3"] == spotcheck.chosen(parts, None, "3")
    assert {len(set(places)) for places in drawn.values()} == {8}
    every = [part.pictures.defect(index) for part in parts for index in range(len(part.pictures))]
    assert {sum(every[place] == "good" for place in places) for places in drawn.values()} == {4}
    assert len({place for places in drawn.values() for place in places}) == len(every)
    assert any(places != sorted(places) for places in drawn.values())


def test_few_pictures_are_all_drawn_and_a_batch_that_is_insisted_on_stays_one(parts: list[Part]) -> None:
    few = parts_of(split(normal=2, defects={"cut": 1}), None, None)
    assert sorted(spotcheck.chosen(few, None, "a")) == [0, 1, 2]
    normal = parts_of(None, held_out(12), None)[:1]
    assert len(spotcheck.chosen(normal, None, "a")) == 8
    for seed in "abcdef":
        places = spotcheck.chosen(parts, 3, seed)
        assert places == list(range(places[0], places[0] + len(places)))
        assert len(places) in (2, 3)


def test_the_same_scores_pass_and_others_are_told_by_the_picture(
    detector: GradualMean, parts: list[Part]
) -> None:
    partial, places = scored(detector, parts), spotcheck.chosen(parts, None, "a")
    images = spotcheck.pixels_of(parts, places)
    again = dict(spotcheck.scored(detector, images))
    assert spotcheck.compared(parts, partial, places, again).passed is True
    rounded = {name: values * (1 + 1e-6) for name, values in again.items()}
    assert spotcheck.compared(parts, partial, places, rounded).passed is True
    scores, maps = again["scores"].clone(), again["maps"].clone()
    scores[3] += 1e-3
    maps[2, 5, 5] += 1e-2
    for changed, said in (
        ({"scores": scores}, "in the evaluation but"),
        ({"maps": maps}, "another anomaly map"),
    ):
        found = spotcheck.compared(parts, partial, places, {**again, **changed})
        assert found.passed is False
        part, index = spotcheck._at(parts, places[3 if "scores" in changed else 2])
        assert found.detail.startswith(f"{part.pictures.path(index)} ({part.split}) ")
        assert said in found.detail
        assert spotcheck.RULE in found.detail
    short = {name: values[:-1] for name, values in again.items()}
    assert spotcheck.compared(parts, partial, places, short).passed is False


def test_labels_that_break_ties_alone_are_noticed(parts: list[Part]) -> None:
    """Where all scores are the same, there is no distance that a difference could be small against."""
    labels = [float(p.pictures.defect(i) != "good") for p in parts for i in range(len(p.pictures))]
    partial = PartialEvaluation()
    partial.scores = [1.0 + 1e-5 * label for label in labels]
    assert auroc(np.array(partial.scores, np.float32), labels) == 1.0
    places = spotcheck.chosen(parts, None, "a")
    found = spotcheck.compared(parts, partial, places, {"scores": torch.ones(len(places))})
    assert found.passed is False
