"""What a threshold was seen to do on the test split: counted, with intervals that hold however few images."""

import numpy as np
import pytest
from scipy.stats import binomtest

from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.observed import observed, share
from ad_detectors.evaluation.operating import OperatingPoint, calibrated

POINT = OperatingPoint(threshold=1.0, map_threshold=None, rate=0.1, normals=9, certified=True)


@pytest.mark.parametrize(("count", "images"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 33), (499, 500)])
def test_an_interval_is_the_exact_one_of_a_binomial(count: int, images: int) -> None:
    found = share(count, images)
    assert found is not None
    expected = binomtest(count, images).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.low <= found.rate == count / images <= found.high


def results(scores: list[float], defects: list[str]) -> list[ImageResult]:
    return [
        ImageResult(f"test/{defect}/{number}.png", int(defect != "good"), defect, score)
        for number, (score, defect) in enumerate(zip(scores, defects, strict=True))
    ]


def test_false_alarms_and_what_was_found_are_counted_by_the_decision_in_use() -> None:
    defects = ["good"] * 4 + ["cut"] * 2 + ["hole"]
    seen = observed(results([0.0, 1.0, 1.1, 0.5, 2.0, 0.9, 3.0], defects), POINT)
    assert seen is not None
    assert (seen.false_alarms.count, seen.false_alarms.images) == (1, 4)  # type: ignore[union-attr]
    assert (seen.found.count, seen.found.images) == (2, 3)  # type: ignore[union-attr]
    assert {name: (each.count, each.images) for name, each in seen.defects.items()} == {
        "cut": (1, 2),
        "hole": (1, 1),
    }
    flat = seen.to_json()
    assert flat["found"]["rate"] == pytest.approx(2 / 3)  # type: ignore[index,call-overload]


def test_what_there_is_not_is_none() -> None:
    assert observed(results([1.0], ["good"]), None) is None
    assert observed([], POINT) is None
    alone = observed(results([2.0], ["cut"]), POINT)
    assert alone is not None
    assert alone.false_alarms is None
    assert alone.to_json()["false_alarms"] is None
    assert share(0, 0) is None


def test_false_alarms_are_as_rare_as_certified_on_average_and_more_where_images_are_of_another_kind() -> None:
    random = np.random.default_rng(5)
    rates = {0.0: [], 3.0: []}
    for _ in range(300):
        point = calibrated(random.normal(size=19).tolist(), None, 0.2)
        for shift, found in rates.items():
            seen = observed(results((random.normal(size=40) + shift).tolist(), ["good"] * 40), point)
            assert seen is not None
            assert seen.false_alarms is not None
            found.append(seen.false_alarms.rate)
    assert 0.17 < np.mean(rates[0.0]) < 0.22
    assert np.mean(rates[3.0]) > 0.9
