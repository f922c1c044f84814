"""Intervals of shares are the exact ones."""

import pytest
from scipy.stats import beta, binom

from ad_platform.chances import at_least
from ad_platform.job_report.rates import Counted, observed, promised


@pytest.mark.parametrize(
    ("count", "of"), [(0, 1), (0, 20), (1, 10), (5, 10), (10, 10), (3, 4000), (2100, 4000)]
)
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(count: int, of: int) -> None:
    found = observed(count, of)
    assert found.value == count / of
    assert found.low == pytest.approx(beta.ppf(0.025, count, of - count + 1) if count else 0, abs=1e-9)
    assert found.high == pytest.approx(beta.ppf(0.975, count + 1, of - count) if count < of else 1, abs=1e-9)


@pytest.mark.parametrize(("normals", "allowed"), [(1, 1), (20, 1), (20, 4), (99, 1), (500, 25)])
def test_what_calibration_promises_is_spread_as_a_beta_distribution(normals: int, allowed: int) -> None:
    found = promised(normals, allowed)
    spread = beta(allowed, normals + 1 - allowed)
    assert found.value == pytest.approx(spread.mean())
    assert (found.low, found.high) == pytest.approx((spread.ppf(0.025), spread.ppf(0.975)), abs=1e-9)


@pytest.mark.parametrize("chance", [0.0, 0.001, 0.4, 0.999, 1.0])
def test_a_tail_is_that_of_the_binomial_distribution(chance: float) -> None:
    for count in (0, 1, 7, 15, 16):
        assert at_least(count, 15, chance) == pytest.approx(binom.sf(count - 1, 15, chance), abs=1e-12)


def test_of_none_there_is_no_share() -> None:
    assert Counted(0, 0).share is None
