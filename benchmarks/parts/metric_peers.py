"""Other people's measures of the same maps, each skipped where its package is not installed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Peer:
    """One measure of one package: a call that returns it, or the reason why there is none."""

    measure: str
    package: str
    call: Callable[[], float] | None
    note: str = ""


def peers(maps: Maps, masks: Masks) -> Iterator[Peer]:
    """Return every measure of every package for these maps."""
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
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, truth = maps.ravel(), masks.ravel()
    yield Peer("pixel AUROC", "scikit-learn", lambda: float(roc_auc_score(truth, scores)))
    yield Peer("pixel AP", "scikit-learn", lambda: float(average_precision_score(truth, scores)))


def _torchmetrics(maps: Maps, masks: Masks) -> Iterator[Peer]:
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    # Scores outside 0..1 would be squashed, which makes ties.
    low, high = maps.min(), maps.max()
    scores = torch.from_numpy((maps - low) / (high - low)).flatten()
    truth = torch.from_numpy(masks).flatten().int()
    note = "exact mode, no thresholds"
    yield Peer("pixel AUROC", "torchmetrics", lambda: float(binary_auroc(scores, truth)), note)
    yield Peer("pixel AP", "torchmetrics", lambda: float(binary_average_precision(scores, truth)), note)


def _anomalib(maps: Maps, masks: Masks) -> Iterator[Peer]:
    from anomalib.metrics.aupro import _AUPRO

    def area(limit: float) -> float:
        metric = _AUPRO(fpr_limit=limit)
        for start in range(0, len(maps), 8):
            metric.update(
                torch.from_numpy(maps[start : start + 8]), torch.from_numpy(masks[start : start + 8]).int()
            )
        return float(metric.compute())

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

    yield Peer("AUPRO 0.3", "adeval", area, "1000 bins; AUROC and AP come with it")
