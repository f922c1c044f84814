"""Exact measures of how well scores rank anomalous above normal; ties are counted as ties, not by luck."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ad_detectors.errors import NotFinite

CHUNK = 1 << 20  # scores looked up at a time, to bound memory


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the area under the ROC curve: how often an anomalous score exceeds a normal one, ties half.

    None when there is only one class. The pairs are counted in whole numbers, so the only rounding is that
    of the last division. Sorts the normal scores once in their own precision: at 32-bit floats, 50 million
    pixels take 200 MB beside the scores themselves. Raises NotFinite.
    """
    values, positive = _checked(scores, labels)
    anomalous, normal = values[positive], values[~positive]
    if not len(anomalous) or not len(normal):
        return None
    normal.sort()
    wins_twice = 0
    for start in range(0, len(anomalous), CHUNK):
        chunk = np.sort(anomalous[start : start + CHUNK])  # sorted needles search much faster
        below = np.searchsorted(normal, chunk, side="left").sum(dtype=np.int64)
        not_above = np.searchsorted(normal, chunk, side="right").sum(dtype=np.int64)
        wins_twice += int(below) + int(not_above)
    return wins_twice / (2 * len(anomalous) * len(normal))


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the sum over thresholds of precision times gained recall; None without anomalous images."""
    values, positive = _checked(scores, labels)
    hits, flagged = _counts(values, positive)
    if not len(hits) or not hits[-1]:
        return None
    # Divided at the end, or rounding would take a perfect ranking above 1.
    return float((hits / flagged * np.diff(hits, prepend=0)).sum() / hits[-1])


def f1_max(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the best F1 of any threshold; None without anomalous images."""
    values, positive = _checked(scores, labels)
    hits, flagged = _counts(values, positive)
    if not len(hits) or not hits[-1]:
        return None
    return float((2 * hits / (flagged + hits[-1])).max())


def tied_pairs(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the share of pairs of an anomalous and a normal score that are equal; None with one class."""
    values, positive = _checked(scores, labels)
    anomalous, normal = values[positive], np.sort(values[~positive])
    if not len(anomalous) or not len(normal):
        return None
    ends = [np.searchsorted(normal, anomalous, side=side).sum(dtype=np.int64) for side in ("left", "right")]
    return int(ends[1] - ends[0]) / (len(anomalous) * len(normal))


def _counts(
    values: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, with each distinct anomalous score as threshold, highest first: anomalous found, all flagged.

    A threshold at a normal score alone finds nothing more, so neither a gain nor the best F1 can lie there.
    """
    anomalous, normal = np.sort(values[positive]), np.sort(values[~positive])
    distinct, counts = np.unique(anomalous, return_counts=True)
    hits = np.cumsum(counts[::-1], dtype=np.int64)
    false = len(normal) - np.searchsorted(normal, distinct, side="left")[::-1]
    return hits, hits + false


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    values, positive = np.asarray(scores).ravel(), np.asarray(labels).astype(np.bool_).ravel()
    if len(values) != len(positive):
        raise ValueError(f"there are {len(values)} scores but {len(positive)} labels")
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise NotFinite("a score is infinite or not a number, so it ranks nowhere")
    return values, positive
