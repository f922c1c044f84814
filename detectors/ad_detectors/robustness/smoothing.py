"""Bounds of the median score of an image under normal noise, whatever is changed within an l2 ball about it.

Median smoothing (Chiang, Curry, Abdelkader, Kumar, Dickerson and Goldstein 2020, arXiv 2007.03730, sect. 3):
for noise of deviation s and a change no longer than e, the median lies between the quantiles
Phi(-e / s) and Phi(e / s) of the unchanged image's scores. Those are estimated by order statistics, so that
each bound holds with the confidence that is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.99  # of each bound of each image


@dataclass(frozen=True)
class Bounds:
    """The median of an image's scores, and between what it stays; infinite where draws tell nothing."""

    median: float
    low: float
    high: float


def bounds(scores: NDArray[np.float64], eps: float, sigma: float, confidence: float = CONFIDENCE) -> Bounds:
    """Return the bounds from scores (N,) under independent draws of noise."""
    ordered = np.sort(scores)
    lowest, highest = ranks(len(ordered), eps, sigma, confidence)
    return Bounds(
        median=float(np.median(ordered)),
        low=float(ordered[lowest - 1]) if lowest else -math.inf,
        high=float(ordered[highest - 1]) if highest <= len(ordered) else math.inf,
    )


def ranks(draws: int, eps: float, sigma: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return which of the sorted scores bound the median from below and above, from 1 on.

    0, or one more than there are, means that no score does. The number of draws below a quantile is binomial.
    """
    from scipy.stats import binom

    share = NormalDist().cdf(-eps / sigma)
    # The highest rank r with P(at least r of the draws lie below the quantile) >= confidence.
    at_least = binom.sf(np.arange(0, draws + 1) - 1, draws, share)
    lowest = int(np.flatnonzero(at_least >= confidence)[-1])
    return lowest, draws + 1 - lowest  # above it is the same, counted from the other end
