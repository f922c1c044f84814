"""Paired intervals without numpy agree with those of the detectors library."""

import numpy as np
import pytest

from ad_detectors.metrics.bootstrap import Evidence, intervals, paired_difference
from ad_detectors.metrics.ranking import auroc as exact
from ad_platform.registry import drawing
from ad_platform.registry.drawing import Said, auroc, differences, quantile


def scored(seed: int, shift: float, ties: bool = False) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    normal, bad = random.normal(size=60), random.normal(shift, size=45)
    if ties:
        normal, bad = normal.round(1), bad.round(1)
    return normal.tolist(), bad.tolist()


def evidence(normal: list[float], bad: list[float]) -> Evidence:
    labels = np.array([False] * len(normal) + [True] * len(bad))
    names = tuple(f"{place}.png" for place in range(len(labels)))
    return Evidence(np.array([*normal, *bad], np.float32), labels, None, names)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_the_auroc_is_that_of_the_library(seed: int, ties: bool) -> None:
    normal, bad = scored(seed, 0.7, ties)
    labels = [0] * len(normal) + [1] * len(bad)
    assert auroc(normal, bad) == pytest.approx(exact([*normal, *bad], labels), abs=1e-12)


def test_the_interval_of_a_difference_is_that_of_the_library_within_the_noise_of_drawing() -> None:
    for seed in range(4):
        mine, other = scored(seed, 1.2), scored(seed + 100, 0.8)
        found = differences(Said(*mine), Said(*other), ["cut"] * 45, draws=2000)[drawing.ALL]
        theirs = paired_difference(evidence(*mine), evidence(*other), draws=2000)["image_auroc"]
        assert found.point == pytest.approx(theirs.point, abs=1e-9)
        assert found.low == pytest.approx(theirs.low, abs=0.012)
        assert found.high == pytest.approx(theirs.high, abs=0.012)


def test_what_both_find_equally_hard_does_not_blur_the_difference() -> None:
    normal, bad = scored(3, 0.5)
    raised = [score + 0.05 for score in bad]
    found = differences(Said(normal, raised), Said(normal, bad), ["cut"] * 45)[drawing.ALL]
    alone = intervals(evidence(normal, bad))["image_auroc"]
    assert found.point > 0
    assert found.low >= 0
    assert found.high - found.low < (alone.high - alone.low) / 3


def test_each_kind_of_defect_has_an_interval_of_its_own_images() -> None:
    normal, bad = scored(1, 0.5)
    kinds = ["cut"] * 15 + ["hole"] * 30
    better = [score + 3 * (kind == "cut") for score, kind in zip(bad, kinds, strict=True)]
    found = differences(Said(normal, better), Said(normal, bad), kinds)
    assert found["cut"].low > 0.1
    assert (found["hole"].low, found["hole"].high) == (0.0, 0.0)
    assert 0 < found[drawing.ALL].point < found["cut"].point


def test_the_same_scores_give_the_same_interval_every_time() -> None:
    one, other = Said(*scored(1, 0.5)), Said(*scored(2, 0.5))
    first, again = (differences(one, other, ["cut"] * 45) for _ in range(2))
    assert first == again


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=41).tolist()
    for share in (0.0, 0.025, 0.5, 0.975, 1.0):
        assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)))
