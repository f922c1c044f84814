"""A few pictures scored a second time by somebody who knows nothing but their pixels, and compared.

A score depends on the pixels and the model alone. Whoever counts its calls, knows that normal pictures come
first, or finds names and labels in the memory of the process that evaluates it, scores otherwise in a fresh
process that is handed a few pictures in another order and in other company.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ad_detectors import dividing
from ad_detectors.api import Detector
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.parts import Part
from ad_detectors.evaluation.scoring import BATCH, batches_of

EACH = 4  # pictures of either class: together one batch of an evaluation
# A detector may round otherwise on another machine or device; what is a part in ten thousand of how far
# apart scores lie, or a few last digits, ranks no picture differently.
OF_SPREAD, OF_VALUE = 1e-4, 2e-6  # the spread of scores is that of their middle half, of a map its range
RULE = "a score may depend on the pixels and the model alone"


@dataclass(frozen=True)
class SpotCheck:
    """Whether pictures score the same in a process that knows nothing but their pixels."""

    passed: bool | None  # None: it could not be made
    pictures: int
    detail: str

    def to_json(self) -> dict[str, bool | int | str | None]:
        """Return it as plain values."""
        return asdict(self)


def chosen(parts: Sequence[Part], together: int | None, seed: str) -> list[int]:
    """Return the places of a few pictures among all, as drawn by a seed, mixed.

    Half of them are normal where there are so many. Where scores depend on the batch, they are a whole batch.
    """
    draw = random.Random(seed)  # noqa: S311 - nobody gains by guessing it
    if together is not None:
        start, _, indices = draw.choice(list(batches_of(parts, together)))
        return list(range(start, start + len(indices)))
    normal: list[int] = []
    anomalous: list[int] = []
    place = 0
    for part in parts:
        for index in range(len(part.pictures)):
            (normal if part.pictures.defect(index) == "good" else anomalous).append(place)
            place += 1
    draw.shuffle(normal)
    draw.shuffle(anomalous)
    rest = [*anomalous[EACH:], *normal[EACH:]]
    found = [*normal[:EACH], *anomalous[:EACH]]
    found += rest[: min(BATCH, place) - len(found)]
    draw.shuffle(found)
    return found


def pixels_of(parts: Sequence[Part], places: Sequence[int]) -> Tensor:  # uint8 (B, 3, H, W)
    """Return pictures by their places among all."""
    found = [_at(parts, place) for place in places]
    return torch.cat([part.pictures.batch([index]) for part, index in found])


def scored(detector: Detector, images: Tensor) -> Mapping[str, Tensor]:
    """Score pictures; return their scores and, of a detector that makes any, their maps."""
    scores = dividing.score(detector, images)
    maps = {} if scores.maps is None else {"maps": scores.maps.detach().float().cpu()}
    return {"scores": scores.images.detach().float().cpu(), **maps}


def compared(
    parts: Sequence[Part], partial: PartialEvaluation, places: Sequence[int], again: Mapping[str, Tensor]
) -> SpotCheck:
    """Compare what was said of pictures the second time with what an evaluation holds of them."""
    if len(again["scores"]) != len(places):
        return SpotCheck(False, 0, f"{len(again['scores'])} scores came back for {len(places)} pictures")
    everything = np.array(partial.scores, np.float64)
    apart = _allowed(everything)
    for number, place in enumerate(places):
        part, index = _at(parts, place)
        name = f"{part.pictures.path(index)} ({part.split})"
        first, second = partial.scores[place], float(again["scores"][number])
        if not abs(first - second) <= apart + OF_VALUE * abs(first):
            detail = (
                f"{name} scores {first:.6g} in the evaluation but {second:.6g} in a process that is handed "
                f"nothing but its pixels; {RULE}"
            )
            return SpotCheck(False, len(places), detail)
        if "maps" in again and not _alike(_kept(partial, place), again["maps"][number].numpy()):
            detail = (
                f"{name} has another anomaly map in the evaluation than in a process that is handed nothing "
                f"but its pixels; {RULE}"
            )
            return SpotCheck(False, len(places), detail)
    return SpotCheck(True, len(places), "pictures score the same in a process that knows but their pixels")


def _kept(partial: PartialEvaluation, place: int) -> NDArray[np.float32]:
    """Return what is kept of a picture's map: the map, or its highest value."""
    found = partial.map(place)
    return found if found is not None else np.array(partial.maxima[place], np.float32)


def _alike(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    if first.ndim == 0:
        second = second.max()
    elif first.shape != second.shape:
        return False
    apart = OF_SPREAD * float(first.max() - first.min())
    return bool((np.abs(first - second) <= apart + OF_VALUE * np.abs(first)).all())


def _allowed(values: NDArray[np.float64]) -> float:
    """Return how far values may be apart: a share of how far the middle half of all lies apart."""
    low, high = np.quantile(values, [0.25, 0.75])
    return OF_SPREAD * float(high - low)


def _at(parts: Sequence[Part], place: int) -> tuple[Part, int]:
    for part in parts:
        if place < len(part.pictures):
            return part, place
        place -= len(part.pictures)
    raise IndexError(f"there is no picture {place}")
