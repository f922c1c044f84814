"""Intervals come from drawing whole pictures anew, and what is read off the grid is nearly exact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ad_detectors.errors import StateError
from ad_detectors.metrics import bootstrap, evidence_file
from ad_detectors.metrics.bootstrap import (
    Evidence,
    grid_measures,
    image_auroc_interval,
    intervals,
    paired_difference,
)
from ad_detectors.metrics.counts import GRID_ERROR, PixelCounts, count, thresholds
from ad_detectors.metrics.pixels import PixelRanking, pixel_measures
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max


def scene(gain: float = 1.0, digits: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    random = np.random.default_rng(8)
    maps = random.normal(size=(14, 40, 40)).astype(np.float32)
    masks = np.zeros(maps.shape, np.bool_)
    for index in range(6):
        masks[index, 4 : 8 + 3 * index, 4:12] = True
        masks[index, 30:35, 10 : 12 + index] = True
        maps[index][masks[index]] += gain * (0.3 + 0.4 * index)
    if digits is not None:  # many pixels of one score, such as the zeros a ReLU leaves
        maps = np.maximum(maps.round(digits), 0)
    return maps, masks


def counted(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> PixelCounts:
    ranking = PixelRanking()
    ranking.add(maps, masks)
    return count(((i, maps[i], masks[i]) for i in range(len(maps))), thresholds(ranking))


def evidence(gain: float = 1.0) -> Evidence:
    maps, masks = scene(gain)
    names = tuple(map(str, range(len(maps))))
    scores = np.sort(maps.reshape(len(maps), -1), axis=1)[:, -40:].mean(1)
    return Evidence(scores, masks.any((1, 2)), counted(maps, masks), names)


@pytest.mark.parametrize("digits", [None, 2, 0])
def test_the_grid_tells_nearly_the_exact_measure_for_any_draw_of_pictures(digits: int | None) -> None:
    maps, masks = scene(digits=digits)
    pixels = counted(maps, masks)
    assert GRID_ERROR < 1e-3
    for times in (np.ones(14, int), np.array([0, 2, 1, 0, 3, 0, 1, 1, 0, 0, 4, 1, 1, 1])):
        exact = pixel_measures(np.repeat(maps, times, axis=0), np.repeat(masks, times, axis=0))
        read = grid_measures(pixels, times)
        assert read["pixel_auroc"] == pytest.approx(exact.auroc, abs=1e-3)
        assert read["aupro_30"] == pytest.approx(exact.aupro[0.3], abs=1e-3)
        assert read["aupro_05"] == pytest.approx(exact.aupro[0.05], abs=1e-3)
        assert read["pixel_ap"] == pytest.approx(exact.ap, abs=2e-3)
        assert read["pixel_f1_max"] == pytest.approx(exact.f1_max, abs=2e-3)


def test_image_measures_of_draws_are_those_of_the_images_drawn() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(40) % 3 == 0
    for digits in (0, 1, 6):  # with many ties, and without
        scores = (random.normal(size=40) + labels).round(digits).astype(np.float32)
        times = np.where(labels, random.integers(0, 3, 40), random.integers(0, 4, 40))
        measure = bootstrap._of_images(Evidence(scores, labels))
        found = {name: float(each[0]) for name, each in measure(times[None].astype(float)).items()}
        again = np.repeat(scores, times), np.repeat(labels, times)
        exact = {"image_auroc": auroc, "image_ap": average_precision, "image_f1_max": f1_max}
        assert found == pytest.approx({name: call(*again) for name, call in exact.items()}, abs=1e-12)


def test_an_interval_is_that_of_drawing_pictures_of_each_class_one_by_one() -> None:
    random = np.random.default_rng(2)
    labels = np.arange(60) < 25
    scores = (random.normal(size=60) + labels).round(1).astype(np.float32)
    found = image_auroc_interval(scores, labels)
    assert found is not None
    assert found.point == pytest.approx(auroc(scores, labels), abs=1e-12)
    drawn = [
        auroc(np.concatenate([random.choice(scores[labels], 25), random.choice(scores[~labels], 35)]), labels)
        for _ in range(2000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.015)


def test_intervals_hold_the_measure_and_do_not_change_from_call_to_call() -> None:
    found = intervals(evidence(), draws=100)
    assert set(found) == set(bootstrap.MEASURES)
    assert all(each.low < each.point < each.high for each in found.values())
    assert intervals(evidence(), draws=100) == found
    assert intervals(evidence(), draws=100, seed=1) != found


def test_a_better_detector_is_told_apart_on_the_same_pictures() -> None:
    good, poor = evidence(1.6), evidence(1.0)
    found = paired_difference(good, poor, draws=100)
    alone = intervals(good, draws=100), intervals(poor, draws=100)
    for name in ("pixel_auroc", "aupro_30"):
        assert found[name].low > 0
        assert found[name].point == pytest.approx(alone[0][name].point - alone[1][name].point)
        # Pictures hard for both are drawn for both, so the difference is known better than each.
        assert alone[0][name].low < alone[1][name].high
    same = paired_difference(good, good, draws=50)
    assert {(each.low, each.high) for each in same.values()} == {(0.0, 0.0)}


def test_detectors_that_saw_other_pictures_or_masks_are_not_compared() -> None:
    mine = evidence()
    with pytest.raises(ValueError, match="not evaluated on the same pictures"):
        paired_difference(mine, replace(mine, pictures=("x", *mine.pictures[1:])))
    assert mine.pixels is not None
    fewer = replace(mine.pixels, regions=mine.pixels.regions + 1)
    with pytest.raises(ValueError, match="the same masks"):
        paired_difference(mine, replace(mine, pixels=fewer))


def test_evidence_comes_back_from_its_file_and_compares_as_before(tmp_path: Path) -> None:
    mine, other = evidence(1.6), evidence(1.0)
    evidence_file.save(mine, tmp_path)
    back = evidence_file.load(tmp_path)
    assert back.pictures == mine.pictures
    assert paired_difference(back, other, draws=20) == paired_difference(mine, other, draws=20)
    evidence_file.save(replace(mine, pixels=None), tmp_path)
    assert evidence_file.load(tmp_path).pixels is None
    (tmp_path / evidence_file.NAME).write_bytes(b"PK but cut")
    with pytest.raises(StateError, match=r"cannot read .*evidence\.npz"):
        evidence_file.load(tmp_path)


def test_what_cannot_be_told_has_no_interval() -> None:
    assert image_auroc_interval([1.0, 2.0], [1, 1]) is None
    maps, masks = scene()
    clean = counted(maps[6:], masks[6:])
    assert intervals(Evidence(np.zeros(8, np.float32), np.zeros(8, np.bool_), clean)) == {}
    full = counted(maps[:2], np.ones_like(masks[:2]))
    assert intervals(Evidence(np.zeros(2, np.float32), np.ones(2, np.bool_), full)) == {}
