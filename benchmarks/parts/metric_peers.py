"""Other people's measures of the same maps, each skipped where its package is not installed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Scores = NDArray[np.float32]
Labels = NDArray[np.bool_]
IMAGES = 10_000


@dataclass(frozen=True)
class Peer:
    """One measure of one package: a call that returns it, or the reason why there is none."""

    measure: str
    package: str
    call: Callable[[], float] | None
    note: str = ""


def peers(maps: Maps, masks: Masks) -> Iterator[Peer]:
    """Return every measure of every package for these maps, and for very many image scores."""
    for package, found in (
        ("scikit-learn", _scikit_learn),
        ("torchmetrics", _torchmetrics),
        ("anomalib", _anomalib),
        ("adeval", _adeval),
    ):
        try:
            yield from found(maps, masks)
        except ImportError as error:
            yield Peer("-", package, None, f"skipped: {error}")


def _scikit_learn(maps: Maps, masks: Masks) -> Iterator[Peer]:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    def best(truth: Labels, scores: Scores) -> float:
        precision, recall, _ = precision_recall_curve(truth, scores)
        return float((2 * precision * recall / np.maximum(precision + recall, 1e-300)).max())

    for of, truth, scores in _both(maps, masks):
        yield Peer(f"{of} AUROC", "scikit-learn", partial(roc_auc_score, truth, scores))
        yield Peer(f"{of} AP", "scikit-learn", partial(average_precision_score, truth, scores))
        yield Peer(f"{of} F1-max", "scikit-learn", partial(best, truth, scores))


def _torchmetrics(maps: Maps, masks: Masks) -> Iterator[Peer]:
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    note = "exact mode, no thresholds"
    for of, truth, scores in _both(maps, masks):
        given = _tensors(truth, scores)
        yield Peer(f"{of} AUROC", "torchmetrics", partial(binary_auroc, *given), note)
        yield Peer(f"{of} AP", "torchmetrics", partial(binary_average_precision, *given), note)


def _anomalib(maps: Maps, masks: Masks) -> Iterator[Peer]:
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.f1_score import _F1Max

    def area(limit: float) -> float:
        metric = _AUPRO(fpr_limit=limit)
        for start in range(0, len(maps), 8):
            metric.update(
                torch.from_numpy(maps[start : start + 8]), torch.from_numpy(masks[start : start + 8]).int()
            )
        return float(metric.compute())

    def best(scores: torch.Tensor, truth: torch.Tensor) -> float:
        metric = _F1Max()
        metric.update(scores, truth)
        return float(metric.compute())

    for of, truth, scores in _both(maps, masks):
        yield Peer(f"{of} F1-max", "anomalib", partial(best, *_tensors(truth, scores)))
    yield Peer("AUPRO 0.3", "anomalib", lambda: area(0.3))
    yield Peer("AUPRO 0.05", "anomalib", lambda: area(0.05))


def _adeval(maps: Maps, masks: Masks) -> Iterator[Peer]:
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # type: ignore[attr-defined]  # adeval 1.1 asks for what numpy 2.4 renamed
    from adeval import EvalAccumulator

    def area() -> float:
        # Its bounds are to be known beforehand; the true ones are the best there are.
        accumulator = EvalAccumulator(0.0, 1.0, float(maps.min()), float(maps.max()))
        accumulator.add_image([0.0, 1.0], [0, 1])
        accumulator.add_sample([0.0, 1.0], [0, 1])
        for values, mask in zip(maps, masks, strict=True):
            accumulator.add_anomap(values, mask.astype(np.uint8))
        return float(accumulator.summary()["p_aupro"])

    def image() -> float:
        accumulator = EvalAccumulator(float(scores.min()), float(scores.max()))
        accumulator.add_image(scores, truth.astype(int))
        accumulator.add_sample([0.0, 1.0], [0, 1])
        return accumulator._auroc(accumulator._image_acc)

    scores, truth = image_scores()
    yield Peer("image AUROC", "adeval", image, "1000 bins")
    yield Peer("AUPRO 0.3", "adeval", area, "1000 bins; AUROC and AP come with it")


def image_scores() -> tuple[Scores, Labels]:
    """Return scores of ten thousand images."""
    random = np.random.default_rng(7)
    labels = random.random(IMAGES) < 0.3
    return (random.normal(size=IMAGES) + labels).astype(np.float32), labels


def _both(maps: Maps, masks: Masks) -> Iterator[tuple[str, Labels, Scores]]:
    scores, labels = image_scores()
    yield "image", labels, scores
    yield "pixel", masks.ravel(), maps.ravel()


def _tensors(truth: Labels, scores: Scores) -> tuple[torch.Tensor, torch.Tensor]:
    # Scores outside 0..1 would be squashed, which makes ties.
    low, high = scores.min(), scores.max()
    return torch.from_numpy((scores - low) / (high - low)), torch.from_numpy(truth).int()
