"""Pixel measures are exact: equal to their definitions whatever the ties, the batches and the memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ad_detectors.errors import NotFinite
from ad_detectors.metrics.ordered import floats, ordered
from ad_detectors.metrics.pixels import PixelRanking, aupro, pixel_measures
from ad_detectors.metrics.spool import Spool

# Few values make ties; neighbours, both zeros and the smallest and largest numbers make rounding matter.
ODD = np.array(
    [0.0, -0.0, 1.0, np.nextafter(np.float32(1), np.float32(2)), -1.0, 1e-45, -1e-45, 3.4e38, -3.4e38, 0.1],
    np.float32,
)


def defined_aupro(maps: NDArray[np.float32], masks: NDArray[np.bool_], limit: float) -> float:
    """Return the area by the words of the definition, one threshold after the other."""
    found = [label(mask, connectivity=2) for mask in masks]
    wholes = [(i, each == k) for i, each in enumerate(found) for k in range(1, each.max() + 1)]
    x, y = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        flagged = maps >= threshold
        x.append((flagged & ~masks).sum() / (~masks).sum())
        y.append(np.mean([(flagged[i] & region).sum() / region.sum() for i, region in wholes]))
    area = 0.0
    for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            area += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return area / limit


@st.composite
def pictures(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(2, 6)))
    size = int(np.prod(shape))
    picks = draw(st.lists(st.integers(0, len(ODD) - 1), min_size=size, max_size=size))
    marks = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    marks[0], marks[-1] = True, False
    return ODD[picks].reshape(shape), np.array(marks).reshape(shape)


@settings(deadline=None, max_examples=60)
@given(pictures(), st.sampled_from([2, 3, 8, 1 << 20]), st.sampled_from([0, 40, 1 << 20]))
def test_measures_equal_their_definitions_whatever_the_ties_and_the_memory(
    drawn: tuple[NDArray[np.float32], NDArray[np.bool_]], length: int, budget: int
) -> None:
    maps, masks = drawn
    ranking = PixelRanking(budget, length=length)
    for values, mask in zip(maps, masks, strict=True):
        ranking.add(values, mask)
    found = ranking.measures((0.05, 0.3, 1.0))
    scores, truth = maps.ravel().astype(np.float64), masks.ravel()
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert found.ap == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert found.f1_max == pytest.approx(np.nan_to_num(f1).max(), abs=1e-12)
    for limit, area in found.aupro.items():
        assert area == pytest.approx(defined_aupro(maps, masks, limit), abs=1e-10)


def scene(pictures: int = 12, size: int = 48) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return maps that show defects of many sizes, some better than others."""
    random = np.random.default_rng(5)
    maps = random.normal(size=(pictures, size, size)).astype(np.float32)
    masks = np.zeros(maps.shape, np.bool_)
    for index in range(0, pictures, 2):
        masks[index, 5 : 7 + index, 4:20] = True
        masks[index, 30:33, 30 : 32 + index] = True
        masks[index, 33:35, 32 + index] = True  # touches by a corner alone
    maps[masks] += 1.5
    return maps, masks


def test_batches_memory_and_forks_change_nothing(tmp_path: Path) -> None:
    maps, masks = scene()
    whole = pixel_measures(maps, masks)
    small = PixelRanking(10_000, tmp_path, length=3000)
    small.add(maps[:5], masks[:5])
    fork = small.fork()
    small.add(maps[5:], masks[5:])
    fork.add(maps[6:7], masks[6:7])
    found = small.measures()
    assert (found.auroc, found.f1_max) == (whole.auroc, whole.f1_max)
    assert found.ap == pytest.approx(whole.ap, abs=1e-13)
    assert found.aupro == pytest.approx(dict(whole.aupro), abs=1e-13)
    chosen = [0, 1, 2, 3, 4, 6]
    part = pixel_measures(maps[chosen], masks[chosen])
    assert fork.measures().auroc == part.auroc
    assert fork.measures().aupro == pytest.approx(dict(part.aupro), abs=1e-13)
    assert aupro(maps, masks, 0.05) == whole.aupro[0.05]


def test_what_exceeds_the_budget_lies_in_a_file_that_nobody_has_to_remove(tmp_path: Path) -> None:
    spool = Spool(100, tmp_path)
    kept = [spool.keep(np.arange(start, start + 20, dtype=np.uint32)) for start in (0, 500, 9000)]
    assert spool.spilled == 160
    assert list(tmp_path.iterdir()) == []
    spool.release()
    assert [each.tolist() for each in kept] == [list(range(s, s + 20)) for s in (0, 500, 9000)]


def test_regions_joined_at_a_corner_are_one_region() -> None:
    maps = np.zeros((1, 4, 4), np.float32)
    masks = np.zeros((1, 4, 4), np.bool_)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 1, 2] = True
    maps[0, 0, 0] = 1.0  # one of three pixels, of one region: an overlap of 1/3 without a false positive
    masks[0, 3, 0] = True
    assert aupro(maps, masks, 1.0) == pytest.approx((1 / 6 + 1) / 2)


def test_a_perfect_map_scores_one_and_a_constant_one_is_a_straight_line() -> None:
    _, masks = scene()
    perfect = pixel_measures(masks.astype(np.float32), masks)
    assert (perfect.auroc, perfect.ap, perfect.f1_max) == (1.0, 1.0, 1.0)
    assert set(perfect.aupro.values()) == {1.0}
    constant = pixel_measures(np.full(masks.shape, 0.25, np.float32), masks)
    assert constant.auroc == 0.5
    assert constant.ap == pytest.approx(masks.mean())
    assert constant.aupro == pytest.approx({0.3: 0.15, 0.05: 0.025})


def test_what_pixels_cannot_tell_is_none() -> None:
    clean = pixel_measures(np.ones((2, 3, 3)), np.zeros((2, 3, 3), np.bool_))
    assert (clean.auroc, clean.ap, clean.f1_max, set(clean.aupro.values())) == (None, None, None, {None})
    whole = pixel_measures(np.ones((1, 3, 3)), np.ones((1, 3, 3), np.uint8) * 255)
    assert (whole.auroc, whole.ap, whole.aupro[0.3]) == (None, 1.0, None)
    assert PixelRanking().measures().auroc is None


def test_what_cannot_be_ranked_is_refused_by_name() -> None:
    ranking, good = PixelRanking(), np.zeros((2, 2), np.float32)
    ranking.add(good, good.astype(bool))
    for value in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 1] = value
        with pytest.raises(NotFinite, match=r"the map of test/cut/7\.png holds what is infinite"):
            ranking.add(bad, good.astype(bool), ["test/cut/7.png"])
    with pytest.raises(
        ValueError, match=r"the map of picture 1 has the shape \(2, 2\) but its mask \(3, 2\)"
    ):
        ranking.add(good, np.zeros((3, 2), np.bool_))
    with pytest.raises(ValueError, match="the mask of picture 1 has more than two values"):
        ranking.add(good, np.array([[0, 128], [255, 0]]))
    with pytest.raises(ValueError, match="2 maps but 1 masks"):
        ranking.add(np.stack([good, good]), good.astype(bool))
    with pytest.raises(ValueError, match="the map of picture 1 is of float64; round it"):
        ranking.add(np.array([[0.1, 1.0]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match=r"a false-positive rate of 1\.5 is no limit"):
        ranking.measures((1.5,))
    assert ranking.regions == 0


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=40))
@settings(deadline=None, max_examples=50)
def test_floats_as_whole_numbers_keep_their_order_and_come_back(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    keys = ordered(numbers)
    assert np.array_equal(
        np.sign(np.subtract.outer(keys.astype(np.int64), keys.astype(np.int64))),
        np.sign(np.subtract.outer(numbers.astype(np.float64), numbers.astype(np.float64))),
    )
    assert np.array_equal(floats(keys), numbers)
