"""The published per-region overlap is computed as it was published, threshold by threshold."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import label, regionprops
from sklearn.metrics import auc

from ad_detectors.errors import NotFinite
from ad_detectors.metrics.pixels import aupro
from ad_detectors.metrics.published import pro_compat


def as_described(maps: NDArray[np.float32], masks: NDArray[np.float64], limit: float, steps: int) -> float:
    """Follow the description: equal steps, scores above each, means over regions, kept rates up to 1."""
    rates, overlaps = [], []
    maps = (maps - maps.min()) / (maps.max() - maps.min())
    for threshold in np.arange(maps.min(), maps.max(), (maps.max() - maps.min()) / steps):
        flagged = maps > threshold
        shares = [
            flagged[i][tuple(region.coords.T)].sum() / region.area
            for i, mask in enumerate(masks)
            for region in regionprops(label(mask.astype(int)))
        ]
        overlaps.append(np.mean(shares))
        rates.append(np.logical_and(1 - masks, flagged).sum() / (1 - masks).sum())
    x, y = np.array(rates), np.array(overlaps)
    kept = x < limit
    return float(auc(x[kept] / x[kept].max(), y[kept]))


def scene(soft: bool) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    random = np.random.default_rng(11)
    maps = random.normal(size=(5, 24, 24)).astype(np.float32)
    masks = np.zeros(maps.shape)
    masks[0, 3:9, 3:9] = masks[0, 12:14, 2:20] = masks[2, 10:20, 10:13] = 1
    maps[masks == 1] += 2
    if soft:
        masks[0, 9, 3:9] = 0.5
        masks[2, 10:20, 13] = 0.25
    return maps, masks


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("limit", "steps"), [(0.3, 200), (0.05, 60)])
def test_it_is_what_the_description_says(soft: bool, limit: float, steps: int) -> None:
    maps, masks = scene(soft)
    expected = as_described(maps, masks, limit, steps)
    assert pro_compat(maps, masks, limit, steps) == pytest.approx(expected, abs=1e-12)


def test_it_is_near_the_exact_area_but_not_equal() -> None:
    maps, masks = scene(soft=False)
    exact, published = aupro(maps, masks == 1), pro_compat(maps, masks == 1)
    assert exact != published
    assert published == pytest.approx(exact, abs=0.03)


def test_where_the_published_code_would_fail_there_is_no_measure() -> None:
    maps, masks = scene(soft=False)
    assert pro_compat(np.ones_like(maps), masks) is None
    assert pro_compat(maps, np.zeros_like(masks)) is None
    assert pro_compat(maps, np.ones_like(masks)) is None
    assert pro_compat(masks.astype(np.float32), masks) is None  # no false positive at all
    assert pro_compat(maps[:0], masks[:0]) is None
    maps[1, 0, 0] = np.nan
    with pytest.raises(NotFinite):
        pro_compat(maps, masks)
    with pytest.raises(ValueError, match="want"):
        pro_compat(maps, masks[:2])
