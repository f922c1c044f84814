"""How image scores are distributed: normal, anomalous and calibration images, and the threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from ad_detectors.evaluation.image_result import CALIBRATION, VALIDATION, ImageResult
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.report import drawing
from ad_detectors.report.thresholds import Thresholds

BINS = 40


def draw_histogram(evaluation: Evaluation, thresholds: Thresholds, path: Path, title: str) -> None:
    """Write the histogram of image scores; without test images that of validation's."""
    shown, split = list(evaluation.images), "test"
    if not shown:
        shown, split = [each for each in evaluation.held_out if each.split == VALIDATION], "validation"
    calibration = [each.score for each in evaluation.held_out if each.split == CALIBRATION]
    scores = [*_scores(shown), *calibration]
    if not scores:
        drawing.save(drawing.plate(f"scores: {title}", "n/a: nothing was scored"), path)
        return
    figure, axes = drawing.blank(f"scores: {title}")
    edges = np.linspace(*_span(scores, thresholds.score), BINS + 1).tolist()
    for name, label, colour in (("normal", 0, drawing.NORMAL), ("anomalous", 1, drawing.ANOMALOUS)):
        those = [each.score for each in shown if each.label == label]
        if those:
            axes.hist(
                those,
                edges,
                histtype="stepfilled",
                color=colour,
                alpha=0.55,
                label=f"{split}, {name} ({len(those)})",
            )
    if calibration:
        name = f"calibration, normal ({len(calibration)})"
        axes.hist(calibration, edges, histtype="step", color=drawing.CALIBRATION, linewidth=2, label=name)
    if thresholds.score is not None:
        axes.axvline(thresholds.score, color="black", linewidth=1.5, linestyle="--", label=_line(thresholds))
    axes.set_xlabel("image score (higher is more anomalous)")
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, framealpha=0.9)
    figure.text(0.09, 0.02, thresholds.words, fontsize=8, color="0.4")
    drawing.save(figure, path)


def _line(thresholds: Thresholds) -> str:
    name = "threshold" if thresholds.by_calibration else "highest normal"
    return f"{name} {thresholds.score:.4g}"


def _scores(results: list[ImageResult]) -> list[float]:
    return [each.score for each in results]


def _span(scores: list[float], threshold: float | None) -> tuple[float, float]:
    """Return the ends of the axis; equal scores still have some room."""
    every = scores if threshold is None else [*scores, threshold]
    low, high = min(every), max(every)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
