"""From scores and maps to measures: of the test split, per defect, and of pictures held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors.data.layout import GOOD
from ad_detectors.evaluation.image_result import CALIBRATION, TEST, VALIDATION, ImageResult
from ad_detectors.evaluation.observed import observed
from ad_detectors.evaluation.operating import OperatingPoint, calibrated
from ad_detectors.evaluation.outcome import Evaluation, Measures
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.parts import Part, Pictures
from ad_detectors.metrics.bootstrap import DRAWS, Evidence, Interval, intervals, restricted
from ad_detectors.metrics.counts import count, thresholds
from ad_detectors.metrics.pixels import PixelRanking
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max, tied_pairs

DEFECT_DRAWS = 400  # of each defect: there may be many, and their pictures are few
IMAGE_MEASURES = ("image_auroc", "image_ap", "image_f1_max")
PIXEL_MEASURES = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro_30", "aupro_05")
VALIDATED = ("image_auroc", "image_ap", "pixel_auroc", "aupro_30")  # of validation


@dataclass(frozen=True)
class Shown:
    """One picture that was scored; its mask is asked for where it is needed, since masks are many."""

    result: ImageResult
    place: int  # among all pictures scored
    pictures: Pictures
    index: int  # among those

    def mask(self) -> NDArray[np.bool_] | None:
        """Return which pixels are defective; None if nobody knows."""
        return self.pictures.mask(self.index)


def measured(
    parts: Sequence[Part],
    partial: PartialEvaluation,
    scratch: Path | None = None,
    *,
    exchangeable: bool = True,
) -> Evaluation:
    """Measure what was scored; nothing of the test split reaches the measures of validation.

    Scores that depend on other images are not `exchangeable`, and then calibration certifies nothing.
    """
    shown = shown_of(parts, partial)
    test = [each for each in shown if each.result.split == TEST]
    validation = [each for each in shown if each.result.split == VALIDATION]
    pixels = _Pixels(partial, scratch)
    whole, defects = pixels.by_defect(test)
    evidence = pixels.evidence(test, whole)
    operating = _operating([each.result for each in shown], exchangeable)
    return Evaluation(
        images=tuple(each.result for each in test),
        metrics=measures_of(test, whole),
        maps=pixels.maps(test),
        defects=defects,
        defect_intervals=_of_defects(evidence, [each.result for each in test]),
        intervals=intervals(evidence, draws=DRAWS),
        evidence=evidence,
        unmarked=tuple(each.result.path for each in test if each.mask() is None),
        validation=_validated(validation, pixels.by_defect(validation)[0]) if validation else {},
        held_out=tuple(each.result for each in shown if each.result.split != TEST),
        operating=operating,
        observed=observed([each.result for each in test], operating),
        ms_per_image=partial.ms_per_image,
    )


def _of_defects(evidence: Evidence, results: Sequence[ImageResult]) -> dict[str, dict[str, Interval]]:
    """Return the intervals of the measures of each defect, whose pictures are drawn with all normal ones."""
    names = sorted({each.defect for each in results if each.label})
    found: dict[str, dict[str, Interval]] = {}
    for name in names:
        kept = np.array([not each.label or each.defect == name for each in results], np.bool_)
        found[name] = intervals(restricted(evidence, kept), draws=DEFECT_DRAWS)
    return found


def shown_of(
    parts: Sequence[Part], partial: PartialEvaluation, start: int = 0, end: int | None = None
) -> list[Shown]:
    """Return the pictures that were scored, from one place among them to before another."""
    places = [(part, index) for part in parts for index in range(len(part.pictures))]
    shown: list[Shown] = []
    for place, (part, index) in list(enumerate(places))[start:end]:
        defect, path = part.pictures.defect(index), part.pictures.path(index)
        highest = partial.maxima[place] if partial.maxima else None
        result = ImageResult(path, int(defect != GOOD), defect, partial.scores[place], part.split, highest)
        shown.append(Shown(result, place, part.pictures, index))
    return shown


def _operating(results: Iterable[ImageResult], exchangeable: bool) -> OperatingPoint | None:
    """Return the operating point by the calibration images, which are normal all."""
    normals = [each for each in results if each.split == CALIBRATION]
    maxima = [each.map_max for each in normals if each.map_max is not None]
    found = calibrated([each.score for each in normals], maxima or None)
    return found if found is None or exchangeable else replace(found, certified=False)


def measures_of(shown: Sequence[Shown], pixels: PixelRanking | None) -> dict[str, float | None]:
    """Return every measure of pictures and of the ranking of their pixels; None what these cannot tell."""
    scores, labels = _ranked(shown)
    found = pixels.measures() if pixels is not None else None
    return {
        "image_auroc": auroc(scores, labels),
        "image_ap": average_precision(scores, labels),
        "image_f1_max": f1_max(scores, labels),
        "pixel_auroc": found.auroc if found else None,
        "pixel_ap": found.ap if found else None,
        "pixel_f1_max": found.f1_max if found else None,
        "aupro_30": found.aupro[0.3] if found else None,
        "aupro_05": found.aupro[0.05] if found else None,
    }


def _validated(shown: Sequence[Shown], pixels: PixelRanking | None) -> Measures:
    """Measure normal pictures against their synthetic defects, and say how much that can still tell."""
    found = measures_of(shown, pixels)
    return {**{name: found[name] for name in VALIDATED}, **room_of(shown)}


def room_of(shown: Sequence[Shown]) -> dict[str, float | None]:
    """Return how much a ranking of images can still tell.

    `saturated` is 1 when every pair is ranked right: a better detector could not show it. `ties` is the share
    of pairs whose scores are equal.
    """
    scores, labels = _ranked(shown)
    best = auroc(scores, labels)
    return {
        "saturated": None if best is None else float(best == 1.0),
        "ties": tied_pairs(scores, labels),
    }


def _ranked(shown: Sequence[Shown]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    scores = np.array([each.result.score for each in shown], np.float32)
    return scores, np.array([each.result.label for each in shown], np.bool_)


class _Pixels:
    """The maps of an evaluation, ranked beside the masks of the pictures whose defects are known."""

    def __init__(self, partial: PartialEvaluation, scratch: Path | None) -> None:
        self._partial, self._scratch = partial, scratch

    def maps(self, shown: Sequence[Shown]) -> list[torch.Tensor] | None:
        found = [self._partial.map(each.place) for each in shown]
        return [torch.from_numpy(each) for each in found if each is not None] or None

    def by_defect(self, shown: Sequence[Shown]) -> tuple[PixelRanking | None, dict[str, Measures]]:
        """Return the ranking of all pixels, and the measures of each defect against all normal pictures."""
        mapped = bool(shown) and self._partial.map(shown[0].place) is not None
        good = [each for each in shown if not each.result.label]
        normal = PixelRanking(folder=self._scratch) if mapped else None
        self._rank(normal, good)
        whole = normal.fork() if normal is not None else None
        defects: dict[str, Measures] = {}
        for name in sorted({each.result.defect for each in shown if each.result.label}):
            those = [each for each in shown if each.result.label and each.result.defect == name]
            own = normal.fork() if normal is not None else None
            self._rank(own, those)
            self._rank(whole, those)
            defects[name] = measures_of([*good, *those], own)
        return whole, defects

    def evidence(self, shown: Sequence[Shown], whole: PixelRanking | None) -> Evidence:
        scores, labels = _ranked(shown)
        names = tuple(each.result.path for each in shown)
        if whole is None or not whole.regions:
            return Evidence(scores, labels, pictures=names)
        known = ((index, *pair) for index, each in enumerate(shown) for pair in self._pairs([each]))
        return Evidence(scores, labels, count(known, thresholds(whole)), names)

    def _rank(self, ranking: PixelRanking | None, shown: Iterable[Shown]) -> None:
        if ranking is not None:
            for values, mask in self._pairs(shown):
                ranking.add(values, mask)

    def _pairs(self, shown: Iterable[Shown]) -> Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        for each in shown:
            values, mask = self._partial.map(each.place), each.mask()
            if values is not None and mask is not None:
                yield values, mask
