"""The operating point is the conformal rank of calibration normals, and certifies no more than they can."""

import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ad_detectors.errors import ConfigError, StateError
from ad_detectors.evaluation.operating import OperatingPoint, calibrated, least_rate

NINE = [0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.4, 0.7, 0.6]


def point(scores: list[float], rate: float | None = None) -> OperatingPoint:
    found = calibrated(scores, None, rate)
    assert found is not None
    return found


def test_by_default_the_threshold_is_the_highest_normal_and_the_rate_the_least_that_can_be_certified() -> (
    None
):
    assert point(NINE) == OperatingPoint(0.9, None, 0.1, 9, True)


@pytest.mark.parametrize(
    ("rate", "rank"), [(0.1, 9), (0.15, 9), (0.2, 8), (0.3, 7), (0.5, 5), (0.9, 1), (0.99, 1)]
)
def test_the_threshold_for_a_rate_is_the_normal_of_the_conformal_rank(rate: float, rank: int) -> None:
    assert point(NINE, rate).threshold == sorted(NINE)[rank - 1]


@given(normals=st.integers(1, 400), hundredths=st.integers(1, 99))
def test_the_rank_is_exact_for_rates_that_a_person_writes(normals: int, hundredths: int) -> None:
    rate = Fraction(hundredths, 100)
    rank = math.ceil((normals + 1) * (1 - rate))
    scores = [float(score) for score in range(1, normals + 1)]
    if rank > normals:
        with pytest.raises(ConfigError, match=f"1/{normals + 1}"):
            calibrated(scores, None, float(rate))
    else:
        assert point(scores, float(rate)).threshold == rank


@pytest.mark.parametrize("normals", [1, 2, 6, 48, 92, 999_982])
def test_the_least_rate_is_certified_whatever_its_digits_and_anything_less_is_refused(normals: int) -> None:
    scores = [float(score) for score in range(normals)]
    assert point(scores, least_rate(normals)).threshold == normals - 1
    with pytest.raises(ConfigError, match=rf"certify no rate of false alarms below .*\(1/{normals + 1}\)"):
        calibrated(scores, None, math.nextafter(least_rate(normals), 0))


def test_a_rate_that_too_few_normals_certify_is_refused_in_one_line_that_names_the_least() -> None:
    with pytest.raises(ConfigError) as refused:
        calibrated(NINE, None, 0.05)
    assert str(refused.value) == (
        "9 calibration images certify no rate of false alarms below 0.1 (1/10), and 0.05 is less; "
        "ask for more, or hold more out"
    )


def test_one_normal_certifies_one_half() -> None:
    assert point([0.4]) == OperatingPoint(0.4, None, 0.5, 1, True)
    with pytest.raises(ConfigError, match="1 calibration image certif"):
        calibrated([0.4], None, 0.4)


def test_without_normals_there_is_no_operating_point_and_no_rate_to_ask_for() -> None:
    assert calibrated([]) is None
    with pytest.raises(ConfigError, match="no normal images were held out"):
        calibrated([], None, 0.5)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_rate_that_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        calibrated(NINE, None, rate)


def test_tied_normals_are_not_anomalous() -> None:
    tied = point([0.2, 0.7, 0.7, 0.7], 0.4)
    assert tied.threshold == 0.7
    assert sum(score > tied.threshold for score in [0.2, 0.7, 0.7, 0.7]) == 0


def test_the_map_threshold_has_the_same_rank_among_the_maps_maxima() -> None:
    maxima = [score * 10 for score in NINE]
    found = calibrated(NINE, maxima, 0.2)
    assert found is not None
    assert found.map_threshold == 8.0


def test_good_images_exceed_the_threshold_at_most_as_often_as_certified() -> None:
    draw = random.Random(3)
    alarms = 0
    for _ in range(4000):
        scores = [draw.gauss(0, 1) for _ in range(9)]
        alarms += draw.gauss(0, 1) > point(scores, 0.2).threshold
    assert 0.17 < alarms / 4000 < 0.23


def test_it_survives_json_exactly() -> None:
    found = calibrated([0.1, 1 / 3, 0.2], [7.1, 1 / 7, 3.0])
    assert found is not None
    assert OperatingPoint.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert OperatingPoint.from_json(point(NINE).to_json()).map_threshold is None


@pytest.mark.parametrize(
    "wrong", [{}, {"threshold": "high"}, {"threshold": math.nan}, {"threshold": True}, {"map_threshold": "x"}]
)
def test_what_is_no_operating_point_is_refused_by_name(wrong: dict[str, object]) -> None:
    whole = dict(point(NINE).to_json()) if wrong else {}
    with pytest.raises(StateError, match="no operating point"):
        OperatingPoint.from_json({**whole, **wrong})
