"""How far two detectors are apart on the same pictures, over several seeds, and how far that could be off.

A draw takes pictures anew, normal and anomalous ones apart and whole pictures at a time, and seeds anew; both
detectors see the same draw, so what is hard for both does not blur the difference (a paired bootstrap: Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
LEVEL = 0.95

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """What one fit said of the pictures; all runs are of the same pictures in one order."""

    scores: NDArray[np.float32]  # (N,)
    maps: NDArray[np.float32]  # (N, H, W)


@dataclass(frozen=True)
class Difference:
    """The mean over seeds of each side, and of their difference with its interval."""

    first: float
    second: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Return first minus second."""
        return self.first - self.second


def differences(
    first: Sequence[Run],
    second: Sequence[Run],
    labels: NDArray[np.bool_],  # (N,)
    masks: NDArray[np.bool_],  # (N, H, W)
    draws: int = DRAWS,
) -> dict[str, Difference]:
    """Compare the image AUROC and the pixel AUROC of two sides, whose runs belong together pair by pair."""
    random = np.random.default_rng(0)
    often = _weights(random, labels, draws)
    seeds = _seeds(random, len(first), draws)
    found: dict[str, Difference] = {}
    for name, of in (
        ("image AUROC", lambda run: auroc(run.scores[:, None], labels[:, None], often)),
        ("pixel AUROC", lambda run: auroc(*_flat(run.maps, masks), often)),
    ):
        sides = [np.stack([of(run) for run in side]) for side in (first, second)]  # (seeds, 1 + draws)
        drawn = ((sides[0] - sides[1]) * seeds).sum(0)
        low, high = np.quantile(drawn[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found[name] = Difference(*(float(side[:, 0].mean()) for side in sides), float(low), float(high))
    return found


def auroc(values: NDArray[np.float32], positive: NDArray[np.bool_], often: Values) -> Values:
    """Return the AUROC of each draw, ties half: of values (N, P), the N pictures drawn so often (B, N)."""
    flat = values.ravel()
    distinct, step = np.unique(flat, return_inverse=True)
    picture = np.repeat(np.arange(len(values)), values.shape[1])
    marked = positive.ravel()
    result = np.empty(len(often))
    for draw, weights in enumerate(often):
        weight = weights[picture]
        normal = np.bincount(step[~marked], weight[~marked], len(distinct))
        defective = np.bincount(step[marked], weight[marked], len(distinct))
        below = np.cumsum(normal) - normal / 2
        result[draw] = (defective * below).sum() / (defective.sum() * normal.sum())
    return result


def _flat(
    maps: NDArray[np.float32], masks: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return maps.reshape(len(maps), -1), masks.reshape(len(masks), -1)


def _weights(random: np.random.Generator, labels: NDArray[np.bool_], draws: int) -> Values:  # (1 + draws, N)
    """Return how often each picture comes in each draw; before those, the pictures as they are."""
    weights = np.ones((1 + draws, len(labels)))
    for group in (labels, ~labels):
        count = int(group.sum())
        weights[1:, group] = random.multinomial(count, np.full(count, 1 / count), size=draws)
    return weights


def _seeds(random: np.random.Generator, count: int, draws: int) -> Values:  # (count, 1 + draws)
    """Return the share of each seed in each draw; before those, equal shares."""
    drawn = random.multinomial(count, np.full(count, 1 / count), size=draws) / count
    return np.concatenate([np.full((1, count), 1 / count), drawn]).T
