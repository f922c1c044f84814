"""Tests between two models: within a category by drawing its images, over categories by signed ranks."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata, wilcoxon

from ad_detectors.metrics.bootstrap import Evidence, mean_difference, paired_difference
from ad_detectors.metrics.signed_rank import signed_rank_p


def evidence(shift: float, seed: int, images: int = 60) -> Evidence:
    """Scores of normal images around 0 and of as many anomalous ones around `shift`."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % 2 == 1
    scores = random.normal(size=images) + shift * labels
    return Evidence(scores.astype(np.float32), labels, pictures=tuple(map(str, range(images))))


def test_a_better_model_is_told_from_a_worse_one_and_a_model_not_from_itself() -> None:
    good, bad = [evidence(2.5, seed) for seed in (0, 1)], [evidence(0.5, seed) for seed in (2, 3)]
    found = mean_difference(good, bad)["image_auroc"]
    assert 0.1 < found.low < found.point < found.high
    assert found.p == pytest.approx(2 / 1001)
    turned = mean_difference(bad, good)["image_auroc"]
    assert (turned.point, turned.p) == (-found.point, found.p)
    same = mean_difference(good, good)["image_auroc"]
    assert (same.point, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_one_seed_on_each_side_is_the_paired_difference() -> None:
    first, second = evidence(1.0, 0), evidence(1.4, 1)
    found, paired = mean_difference([first], [second]), paired_difference(first, second)
    assert found.keys() == paired.keys()
    for name, one in paired.items():
        assert (found[name].point, found[name].low, found[name].high) == (one.point, one.low, one.high)


def test_p_values_of_models_alike_are_seldom_small() -> None:
    values = [
        mean_difference([evidence(1, s)], [evidence(1, s + 500)], draws=300)["image_auroc"].p
        for s in range(100)
    ]
    assert np.mean(np.array(values) <= 0.05) < 0.15
    assert np.mean(values) > 0.35


def test_the_mean_over_seeds_is_what_is_compared() -> None:
    sides = [evidence(1.0, 0), evidence(2.0, 1), evidence(1.5, 2)], [evidence(0.5, 3)]
    alone = [paired_difference(one, sides[1][0])["image_auroc"].point for one in sides[0]]
    assert mean_difference(*sides)["image_auroc"].point == pytest.approx(np.mean(alone))


def test_other_pictures_and_nothing_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="not evaluated on the same pictures"):
        mean_difference([evidence(1, 0)], [evidence(1, 0, images=40)])
    with pytest.raises(ValueError, match="not evaluated on the same pictures"):
        mean_difference([evidence(1, 0), evidence(1, 0, images=40)], [evidence(1, 0)])
    with pytest.raises(ValueError, match="nothing to compare"):
        mean_difference([], [evidence(1, 0)])


def by_hand(differences: list[float]) -> float:
    """Count every way to sign the ranks."""
    ranks = rankdata(np.abs(differences))
    seen = float(ranks[np.array(differences) > 0].sum())
    every = [float(ranks[np.array(signs)].sum()) for signs in product([True, False], repeat=len(ranks))]
    low, high = np.mean([x <= seen + 1e-9 for x in every]), np.mean([x >= seen - 1e-9 for x in every])
    return min(1.0, 2 * float(min(low, high)))


@pytest.mark.parametrize(
    "differences",
    [
        [0.01, 0.02, 0.03, 0.04, 0.05, 0.06],
        [0.01, -0.02, 0.03, 0.03, 0.05, -0.03, 0.2],
        [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, -0.01],
        [-0.3],
    ],
)
def test_signed_ranks_are_exact_with_ties_too(differences: list[float]) -> None:
    assert signed_rank_p(differences) == pytest.approx(by_hand(differences))


def test_categories_without_a_difference_say_nothing() -> None:
    assert signed_rank_p([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.0, 1e-16]) == pytest.approx(2 / 64)
    assert signed_rank_p([0.0, 0.0]) is None
    assert signed_rank_p([]) is None


def test_many_categories_are_tested_as_scipy_does_where_none_are_alike() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 27)
    expected = wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(list(differences)) == pytest.approx(expected)
