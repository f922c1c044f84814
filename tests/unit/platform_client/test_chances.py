"""Exact intervals of shares, and how many false alarms are no surprise, against scipy and by simulation."""

import numpy as np
import pytest
from scipy import stats

from ad_platform import chances


@pytest.mark.parametrize(
    ("count", "of"), [(0, 1), (0, 20), (1, 20), (7, 20), (20, 20), (3, 411), (250, 1000)]
)
def test_intervals_of_shares_are_those_of_scipy(count: int, of: int) -> None:
    theirs = stats.binomtest(count, of).proportion_ci(method="exact")
    low, high = chances.interval(count, of)
    assert low == pytest.approx(theirs.low, abs=1e-9)
    assert high == pytest.approx(theirs.high, abs=1e-9)


def test_of_no_images_nothing_is_known() -> None:
    assert chances.interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("images", "normals", "rate"), [(20, 16, 1 / 17), (40, 19, 0.05), (9, 4, 0.2), (200, 99, 0.03)]
)
def test_the_most_false_alarms_are_those_of_the_beta_binomial(images: int, normals: int, rate: float) -> None:
    above = chances.allowed(normals, rate)
    most = chances.most_false_alarms(images, normals, rate)
    count = stats.betabinom(images, above, normals + 1 - above)
    assert count.cdf(most) >= 0.975 - 1e-9
    assert most == 0 or count.cdf(most - 1) < 0.975


def test_good_images_like_those_calibrated_on_are_seldom_refused() -> None:
    random = np.random.default_rng(7)
    refused = 0
    for _ in range(2000):
        calibration, test = np.sort(random.normal(size=19)), random.normal(size=50)
        refused += int((test > calibration[-1]).sum()) > chances.most_false_alarms(50, 19, 0.05)
    assert refused / 2000 <= 0.035


@pytest.mark.parametrize(
    ("normals", "rate", "above"), [(99, 0.29, 29), (99, 0.01, 1), (98, 0.01, 0), (16, 1 / 17, 1), (9, 0.5, 5)]
)
def test_how_many_may_lie_above_is_as_the_digits_of_the_rate_say(
    normals: int, rate: float, above: int
) -> None:
    assert chances.allowed(normals, rate) == above
