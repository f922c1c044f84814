"""How good a fitted detector is on the test split; can be interrupted and gone on with."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ad_detectors.api import Detector, Scores
from ad_detectors.data.images import TestImages
from ad_detectors.errors import NotFinite, StateError
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max

if TYPE_CHECKING:
    from ad_detectors.api import State


@dataclass(frozen=True)
class ImageResult:
    """What the detector said of one picture, beside what is known of it."""

    path: str  # relative to the category's folder
    label: int  # 1 anomalous, 0 normal
    defect: str  # "good" for normal ones
    score: float


@dataclass(frozen=True)
class Evaluation:
    """The results on a test split."""

    images: tuple[ImageResult, ...]
    metrics: Mapping[str, float | None]  # None where the data cannot tell, such as with one class only
    maps: Tensor | None  # (N, H, W) float32


class PartialEvaluation:
    """The scores so far: grows batch by batch, and is a State in between."""

    def __init__(self) -> None:
        self.done = 0  # pictures scored, from the first on
        self._scores: list[Tensor] = []
        self._maps: list[Tensor] = []

    def add(self, scores: Scores) -> None:
        """Append the scores of the next pictures."""
        self.done += len(scores.images)
        self._scores.append(scores.images.detach().float().cpu())
        if scores.maps is not None:
            self._maps.append(scores.maps.detach().float().cpu())

    @property
    def scores(self) -> Tensor:  # (done,)
        """Return the image scores so far."""
        return torch.cat(self._scores) if self._scores else torch.zeros(0)

    @property
    def maps(self) -> Tensor | None:  # (done, H, W)
        """Return the anomaly maps so far, or None if the detector makes none."""
        return torch.cat(self._maps) if self._maps else None

    def state(self) -> State:
        """Return the scores so far as tensors, to be saved like any state."""
        state: dict[str, Tensor] = {"evaluation/scores": self.scores}
        if self.maps is not None:
            state["evaluation/maps"] = self.maps
        return state

    @classmethod
    def restore(cls, state: State) -> PartialEvaluation:
        """Go on from what `state` returned; raise StateError if it is something else."""
        scores, maps = state.get("evaluation/scores"), state.get("evaluation/maps")
        if not isinstance(scores, Tensor) or not (maps is None or isinstance(maps, Tensor)):
            raise StateError("this state is not that of an evaluation")
        partial = cls()
        if len(scores):
            partial.add(Scores(scores, maps))
        return partial


def evaluate(
    detector: Detector,
    test: TestImages,
    report: Callable[[int, int], None] | None = None,
    batch: int = 8,
    done: PartialEvaluation | None = None,
) -> Evaluation:
    """Score the test split and measure.

    After each batch `report(batches done, batches in all)` is called; `done`, which grows as the evaluation
    does, may be saved then, and handed in again to go on from there with the same batch size. Raises
    NotFinite naming the picture whose score is not finite.
    """
    partial = done if done is not None else PartialEvaluation()
    if partial.done > len(test):
        raise StateError(f"{partial.done} pictures were scored but there are {len(test)}; evaluate anew")
    total = -(-len(test) // batch)
    while partial.done < len(test):
        indices = range(partial.done, min(partial.done + batch, len(test)))
        scores = detector.score(test.batch(indices))
        _check(scores, [test.paths[index] for index in indices])
        partial.add(scores)
        if report is not None:
            report(-(-partial.done // batch), total)
    return _measured(test, partial)


def write_results(evaluation: Evaluation, folder: Path, category: str, category_type: str = "all") -> None:
    """Write results.csv (one line of measures) and scores.csv (one line per picture) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    measures = {name: _cell(value) for name, value in evaluation.metrics.items()}
    named = {
        "category": category,
        "category_type": category_type,
        "img_auc": measures.pop("image_auroc"),
        "pixel_auc": measures.pop("pixel_auroc"),
        **measures,
    }
    _write(folder / "results.csv", [list(named), list(named.values())])
    rows = [[image.path, str(image.label), image.defect, repr(image.score)] for image in evaluation.images]
    _write(folder / "scores.csv", [["path", "label", "defect", "score"], *rows])


def _check(scores: Scores, paths: list[str]) -> None:
    if len(scores.images) != len(paths):
        raise StateError(f"the detector gave {len(scores.images)} scores for {len(paths)} pictures")
    for path, score in zip(paths, scores.images.tolist(), strict=True):
        if not np.isfinite(score):
            raise NotFinite(f"the score of {path} is {score}")


def _measured(test: TestImages, partial: PartialEvaluation) -> Evaluation:
    scores, maps = partial.scores.numpy(), partial.maps
    metrics = {
        "image_auroc": auroc(scores, test.labels),
        "image_ap": average_precision(scores, test.labels),
        "image_f1_max": f1_max(scores, test.labels),
        "pixel_auroc": _pixel_auroc(test, maps),
    }
    images = tuple(
        ImageResult(path, label, defect, score)
        for path, label, defect, score in zip(
            test.paths, test.labels, test.defects, scores.tolist(), strict=True
        )
    )
    return Evaluation(images, metrics, maps)


def _pixel_auroc(test: TestImages, maps: Tensor | None) -> float | None:
    """Measure over all pixels of pictures whose defects are known; None if no defect was drawn."""
    if maps is None:
        return None
    known = [index for index, has_mask in enumerate(test.has_mask) if has_mask]
    if not known:
        return None
    return auroc(maps[known].numpy(), test.masks(known))


def _cell(value: float | None) -> str:
    return "n/a" if value is None else repr(value)


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
