"""ROC and precision-recall curves of image scores, exact and with the operating point on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.metrics.ranking import auroc
from ad_detectors.report.drawing import CALIBRATION, plate, plotted, save
from ad_detectors.report.thresholds import Thresholds

MOST_DEFECTS = 10  # curves of defects in one plot


@dataclass(frozen=True)
class Tally:
    """How many images exceed each threshold, from above the highest score down to below the lowest."""

    thresholds: NDArray[np.float64]  # (T,) every distinct score, highest first, after infinity
    found: NDArray[np.int64]  # (T,) anomalous images with at least this score
    alarms: NDArray[np.int64]  # (T,) normal ones

    @property
    def recall(self) -> NDArray[np.float64]:
        """Return the share of the anomalous images that is found."""
        return np.asarray(self.found / self.found[-1])

    @property
    def false_alarms(self) -> NDArray[np.float64]:
        """Return the share of the normal images that is called anomalous."""
        return np.asarray(self.alarms / self.alarms[-1])

    @property
    def precision(self) -> NDArray[np.float64]:
        """Return the share of those called anomalous that are; 1 where none is."""
        called = self.found + self.alarms
        return np.asarray(np.divide(self.found, called, out=np.ones(len(called)), where=called > 0))


def tally(images: list[ImageResult]) -> Tally:
    """Count; a threshold takes all images of its score, so that ties are one step aslant."""
    scores = np.array([each.score for each in images], np.float64)
    labels = np.array([each.label for each in images], np.int64)
    distinct = np.unique(scores)[::-1]
    place = np.searchsorted(-distinct, -scores)
    anomalous = np.bincount(place, labels, len(distinct)).astype(np.int64)
    normal = np.bincount(place, 1 - labels, len(distinct)).astype(np.int64)
    return Tally(
        np.concatenate([[np.inf], distinct]),
        np.concatenate([[0], np.cumsum(anomalous)]),
        np.concatenate([[0], np.cumsum(normal)]),
    )


def missing(images: list[ImageResult]) -> str | None:
    """Say why there can be no curve; None if there can."""
    if not images:
        return "n/a: there are no test images"
    labels = {each.label for each in images}
    if labels == {0}:
        return "n/a: there are no anomalous test images"
    return "n/a: there are no normal test images" if labels == {1} else None


def draw_roc(evaluation: Evaluation, thresholds: Thresholds, path: Path, title: str) -> None:
    """Write the ROC curve of all test images, and thin ones of each defect against the normal ones."""
    images = list(evaluation.images)
    reason = missing(images)
    if reason is not None:
        save(plate(f"ROC: {title}", reason), path)
        return
    figure, axes = plotted(
        f"ROC: {title}", "false alarms (share of normal images)", "found (share of anomalous)"
    )
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1, linestyle=":")
    normal = [each for each in images if not each.label]
    for defect in sorted({each.defect for each in images if each.label})[:MOST_DEFECTS]:
        those = [each for each in images if each.label and each.defect == defect]
        of_defect = tally([*normal, *those])
        area = auroc([each.score for each in (*normal, *those)], [0] * len(normal) + [1] * len(those))
        label = f"{defect}: {area:.3f} ({len(those)})"
        axes.plot(of_defect.false_alarms, of_defect.recall, linewidth=1, alpha=0.7, label=label)
    whole = tally(images)
    counts = f"({int(whole.found[-1])} against {int(whole.alarms[-1])})"
    said = _measure(evaluation, "image_auroc")
    axes.plot(
        whole.false_alarms, whole.recall, color="black", linewidth=2, label=f"all: AUROC {said} {counts}"
    )
    _mark(axes, whole, thresholds, whole.false_alarms, whole.recall)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)
    save(figure, path)


def draw_pr(evaluation: Evaluation, thresholds: Thresholds, path: Path, title: str) -> None:
    """Write the precision-recall curve of all test images, in steps as average precision sums it."""
    images = list(evaluation.images)
    reason = missing(images)
    if reason is not None:
        save(plate(f"precision and recall: {title}", reason), path)
        return
    figure, axes = plotted(
        f"precision and recall: {title}",
        "recall (share of anomalous found)",
        "precision (share of alarms that are right)",
    )
    whole = tally(images)
    share = float(whole.found[-1] / len(images))
    axes.axhline(share, color="0.8", linewidth=1, linestyle=":", label=f"by chance: {share:.3f}")
    said = _measure(evaluation, "image_ap")
    axes.step(whole.recall, whole.precision, where="pre", color="black", linewidth=2, label=f"AP {said}")
    _mark(axes, whole, thresholds, whole.recall, whole.precision)
    axes.legend(loc="lower left", fontsize=8, framealpha=0.9)
    save(figure, path)


def _measure(evaluation: Evaluation, name: str) -> str:
    value, interval = evaluation.metrics.get(name), evaluation.intervals.get(name)
    said = "n/a" if value is None else f"{value:.3f}"
    if interval is None or interval.low is None or interval.high is None:
        return said
    return f"{said} [{interval.low:.3f}, {interval.high:.3f}]"


def _mark(
    axes: Axes, whole: Tally, thresholds: Thresholds, across: NDArray[np.float64], up: NDArray[np.float64]
) -> None:
    """Show where on a curve the threshold lies: the images that exceed it are those above."""
    if thresholds.score is None:
        return
    place = int(np.count_nonzero(whole.thresholds > thresholds.score)) - 1
    name = "threshold" if thresholds.by_calibration else "highest normal image"
    label = f"{name} {thresholds.score:.4g}: {across[place]:.3f}, {up[place]:.3f}"
    axes.plot(
        [across[place]],
        [up[place]],
        "o",
        color=CALIBRATION,
        markersize=8,
        markeredgecolor="white",
        label=label,
    )
