"""The published per-region overlap, step by step as its procedure goes, to be timed; none of its code.

At each of 200 thresholds all maps are made binary, the regions of every mask are found anew, the share of
each that is flagged is averaged, and false positives are counted over all pixels.
`ad_detectors.metrics.published` says how it differs from the exact measure.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label, regionprops
from sklearn.metrics import auc

THRESHOLDS = 200
LIMIT = 0.3


def procedure(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Return the area, which is that of `pro_compat`."""
    scaled = (maps - maps.min()) / (maps.max() - maps.min())
    drawn = masks.astype(np.float32)
    flagged = np.zeros_like(scaled)
    overlaps, rates = [], []
    for threshold in np.arange(scaled.min(), scaled.max(), (scaled.max() - scaled.min()) / THRESHOLDS):
        flagged[scaled <= threshold] = 0
        flagged[scaled > threshold] = 1
        shares = [
            image[tuple(region.coords.T)].sum() / region.area
            for image, mask in zip(flagged, drawn, strict=True)
            for region in regionprops(label(mask.astype(np.uint8)))
        ]
        normal = 1 - drawn
        overlaps.append(float(np.mean(shares)))
        rates.append(float(np.logical_and(normal, flagged).sum() / normal.sum()))
    x, y = np.array(rates), np.array(overlaps)
    kept = x < LIMIT
    return float(auc(x[kept] / x[kept].max(), y[kept]))
