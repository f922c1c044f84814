"""How far a measure could be off: 95 % intervals by drawing the pictures anew, as many, with repetition.

Normal and anomalous pictures are drawn apart (stratified), whole pictures at a time, since pixels of one
picture hang together; the interval lies between percentiles of the measure over the draws (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). Measures of image scores of a draw are
exact; those of pixels are read off counts on a grid: AUROC and AUPRO within `counts.GRID_ERROR`, AP and
F1-max within about as much, since the grid takes equal steps of recall too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ad_detectors.metrics.counts import PixelCounts

DRAWS = 1000
LEVEL = 0.95
AT_ONCE = 50  # draws, to bound memory
MEASURES = (
    *("image_auroc", "image_ap", "image_f1_max"),
    *("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro_30", "aupro_05"),
)
AUPRO = {"aupro_30": 0.3, "aupro_05": 0.05}

Values: TypeAlias = NDArray[np.float64]
_Measure: TypeAlias = Callable[[Values], Mapping[str, Values]]  # (B, N) how often each comes: (B,) by name


@dataclass(frozen=True)
class Interval:
    """A measure, and where it lies in 95 of 100 draws of the pictures."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much two models differ: itself, its 95 % interval, and the two-sided p value of no difference."""

    point: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Evidence:
    """What a detector said of some pictures: as much as is needed to draw them anew."""

    scores: NDArray[np.float32]  # (N,)
    labels: NDArray[np.bool_]  # (N,)
    pixels: PixelCounts | None = None
    pictures: tuple[str, ...] = ()  # their names, where two detectors are to be compared


def intervals(evidence: Evidence, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """Return the interval of each of MEASURES that the pictures can tell."""
    return _intervals([evidence], lambda found: found[0], draws, seed)


def paired_difference(
    first: Evidence, second: Evidence, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Return the interval of first minus second for each of MEASURES, for two detectors on the same pictures.

    Both see the same draws, so what is hard for both does not blur the difference. An interval that does not
    hold 0 says that one of them is better. Raises ValueError if the pictures differ.
    """
    _check_alike(first, second)
    return _intervals([first, second], lambda found: found[0] - found[1], draws, seed)


def mean_difference(
    first: Sequence[Evidence], second: Sequence[Evidence], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Difference]:
    """Return the mean over `first` minus that over `second` of each of MEASURES, and test it.

    Each side is one model fitted with several seeds and scored on the same pictures; every draw of pictures
    is the same for all. The p value is two-sided and inverts the percentile interval: twice the smaller share
    of draws on one side of 0, those at 0 counted on both, and the pictures as they are counted as one draw
    more, so that it never is 0 (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, 4.2).
    It speaks of other test pictures, not of other seeds. Raises ValueError if the pictures differ, or where a
    side is empty.
    """
    if not first or not second:
        raise ValueError("there is nothing to compare on one side")
    for other in (*first[1:], *second):
        _check_alike(first[0], other)
    count = len(first)

    def combine(found: list[Values]) -> Values:
        difference: Values = np.mean(found[:count], axis=0) - np.mean(found[count:], axis=0)
        return difference

    drawn = _drawn([*first, *second], combine, draws, seed)
    return {name: _tested(values) for name, values in drawn.items()}


def _check_alike(first: Evidence, second: Evidence) -> None:
    """Raise ValueError unless two detectors can be compared picture by picture."""
    if first.pictures != second.pictures or not np.array_equal(first.labels, second.labels):
        raise ValueError("these detectors were not evaluated on the same pictures; evaluate both anew")
    mine, other = first.pixels, second.pixels
    if mine is not None and other is not None and not _same(mine, other):
        raise ValueError("these detectors were not evaluated against the same masks; evaluate both anew")


def restricted(evidence: Evidence, kept: NDArray[np.bool_]) -> Evidence:
    """Return what is known of some of the pictures alone, given as a mask (N,)."""
    pixels = evidence.pixels
    if pixels is not None:
        rows = kept[pixels.pictures]
        some = rows[pixels.defective]
        places = np.cumsum(kept) - 1
        pixels = PixelCounts(
            places[pixels.pictures[rows]].astype(np.intp),
            pixels.defective[rows],
            pixels.normal_pixels[rows],
            pixels.defective_pixels[some],
            pixels.overlap[some],
            pixels.regions[some],
        )
    names = tuple(name for name, keep in zip(evidence.pictures, kept, strict=False) if keep)
    return Evidence(evidence.scores[kept], evidence.labels[kept], pixels, names)


def image_auroc_interval(
    scores: ArrayLike, labels: ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """Return the interval of the AUROC of image scores; None when there is only one class."""
    evidence = Evidence(np.asarray(scores, np.float32), np.asarray(labels).astype(np.bool_))
    return intervals(evidence, draws=draws, seed=seed).get("image_auroc")


def grid_measures(pixels: PixelCounts, times: ArrayLike = 1) -> dict[str, float]:
    """Return the measures of pixels as the grid shows them, with each picture there so many times."""
    weights = np.broadcast_to(np.asarray(times, np.float64), (1, len(pixels.defective)))
    return {name: float(value[0]) for name, value in _of_pixels(pixels, weights).items()}


def _intervals(
    sides: list[Evidence], combine: Callable[[list[Values]], Values], draws: int, seed: int
) -> dict[str, Interval]:
    return {name: _interval(values) for name, values in _drawn(sides, combine, draws, seed).items()}


def _drawn(
    sides: list[Evidence], combine: Callable[[list[Values]], Values], draws: int, seed: int
) -> dict[str, Values]:
    """Return each measure, combined over the sides: first of the pictures as they are, then of each draw."""
    result: dict[str, Values] = {}
    for group, (defective, measures) in enumerate(_groups(sides)):
        weights = _weights(np.random.default_rng([seed, group]), defective, draws)
        drawn = [measure(weights) for measure in measures]
        result |= {name: combine([side[name] for side in drawn]) for name in drawn[0]}
    return result


def _interval(values: Values) -> Interval:  # (1 + B,)
    tail = (1 - LEVEL) / 2
    return Interval(float(values[0]), *np.quantile(values[1:], [tail, 1 - tail]).tolist())


def _tested(values: Values) -> Difference:  # (1 + B,)
    drawn = values[1:]
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (len(drawn) + 1))
    found = _interval(values)
    return Difference(found.point, found.low, found.high, p)


def _groups(sides: list[Evidence]) -> Iterator[tuple[NDArray[np.bool_], list[_Measure]]]:
    """Return the kinds of measures there are: the pictures each is about, and how to measure each side."""
    labels = sides[0].labels
    if labels.any() and not labels.all():
        yield labels, [_of_images(side) for side in sides]
    pixels = [side.pixels for side in sides if side.pixels is not None]
    if len(pixels) == len(sides) and pixels[0].defective.any() and pixels[0].normal_pixels.any():
        yield pixels[0].defective, [partial(_of_pixels, each) for each in pixels]


def _same(mine: PixelCounts, other: PixelCounts) -> bool:
    return (
        np.array_equal(mine.pictures, other.pictures)
        and np.array_equal(mine.defective, other.defective)
        and np.array_equal(mine.regions, other.regions)
    )


def _weights(random: np.random.Generator, defective: NDArray[np.bool_], draws: int) -> Values:  # (1 + B, N)
    """Return how often each picture comes in each draw; before those, the pictures as they are."""
    weights = np.ones((1 + draws, len(defective)))
    for group in (defective, ~defective):
        count = int(group.sum())
        if count:
            weights[1:, group] = random.multinomial(count, np.full(count, 1 / count), size=draws)
    return weights


def _of_images(evidence: Evidence) -> _Measure:
    """Return what finds the measures of image scores of draws: each image counts as often as it was drawn."""
    order = np.argsort(-evidence.scores, kind="stable")
    labels, scores = evidence.labels[order], evidence.scores[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # a tie is flagged as one

    def measure(weights: Values) -> dict[str, Values]:
        parts = []
        for start in range(0, len(weights), AT_ONCE):
            often = weights[start : start + AT_ONCE, order]
            true = np.cumsum(often * labels, axis=1)[:, ends]
            false = np.cumsum(often * ~labels, axis=1)[:, ends]
            parts.append(_ranked(true, false))
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {**auroc(weights), "image_ap": found["ap"], "image_f1_max": found["f1_max"]}

    auroc = _image_auroc(evidence)
    return measure


def _ranked(true: Values, false: Values) -> dict[str, Values]:
    """Return average precision and the best F1 of what is flagged at each step (B, S), from the top down."""
    flagged = true + false
    precision = np.divide(true, flagged, out=np.zeros_like(true), where=flagged > 0)
    total = true[:, -1:]
    gained = np.diff(true, axis=1, prepend=0.0)
    best = (2 * true / (flagged + total)).max(1)
    return {"ap": (precision * gained).sum(1) / total[:, 0], "f1_max": best}


def _image_auroc(evidence: Evidence) -> _Measure:
    """Return what finds the image AUROC of draws: each pair is weighed by how often both of it were drawn."""
    anomalous, normal = evidence.scores[evidence.labels], evidence.scores[~evidence.labels]
    # Whole and half numbers, so 32 bits hold the sums exactly.
    wins = (anomalous[:, None] > normal) + np.float32(0.5) * (anomalous[:, None] == normal)  # (A, M)

    def measure(weights: Values) -> dict[str, Values]:
        often, rarely = weights[:, evidence.labels], weights[:, ~evidence.labels]
        won = (often.astype(np.float32) @ wins).astype(np.float64)
        return {"image_auroc": (won * rarely).sum(1) / (often.sum(1) * rarely.sum(1))}

    return measure


def _of_pixels(pixels: PixelCounts, weights: Values) -> dict[str, Values]:
    """Return the measures of pixels of each draw, off the summed counts of the pictures drawn."""
    often = weights.astype(np.float32)
    some = often[:, pixels.defective]
    sums = (often @ pixels.normal_pixels, some @ pixels.defective_pixels, some @ pixels.overlap)  # (B, T + 1)
    regions = some @ pixels.regions
    parts = [
        _areas(*(each[start : start + AT_ONCE] for each in (*sums, regions)))
        for start in range(0, len(weights), AT_ONCE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _areas(
    normal: NDArray[np.float32],
    defective: NDArray[np.float32],
    overlap: NDArray[np.float32],
    regions: NDArray[np.float32],
) -> dict[str, Values]:
    false, true, shares = _risen(normal), _risen(defective), _risen(overlap) / regions[:, None]
    ranked = _ranked(true[:, 1:], false[:, 1:])
    false /= false[:, -1:]
    true /= true[:, -1:]
    areas = {name: _area(false, shares, limit) for name, limit in AUPRO.items()}
    precise = {"pixel_ap": ranked["ap"], "pixel_f1_max": ranked["f1_max"]}
    return {"pixel_auroc": _area(false, true, 1.0), **precise, **areas}


def _risen(counts: NDArray[np.float32]) -> Values:
    """Return the sums from the left, beginning with 0."""
    risen = np.zeros((len(counts), counts.shape[1] + 1))
    np.cumsum(counts, axis=1, dtype=np.float64, out=risen[:, 1:])
    return risen


def _area(x: Values, y: Values, limit: float) -> Values:
    """Return the area under lines through points of rising x, up to a limit and divided by it."""
    last = (x <= limit).sum(1) - 1  # of each row, the last point within
    width = min(int(last.max()) + 2, x.shape[1])
    within = np.minimum(x[:, :width], limit)
    area = np.einsum("bt,bt->b", np.diff(within), y[:, : width - 1] + y[:, 1:width]) / 2
    # The line that crosses the limit was taken to end there at its full height.
    row = np.flatnonzero(last + 1 < x.shape[1])
    start, end = (row, last[row]), (row, last[row] + 1)
    part = limit - x[start]
    area[row] -= part * (y[end] - y[start]) * (1 - part / (x[end] - x[start])) / 2
    return area / limit  # type: ignore[no-any-return]
