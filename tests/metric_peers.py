"""What other people's packages say of a scene, each by its own name; what a package has not is left out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from metric_cases import LIMITS, STEPS, Scene


def scikit_learn(scene: Scene) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    def f1(labels: Any, scores: Any) -> float:
        precision, recall, _ = precision_recall_curve(labels, scores)
        return float((2 * precision * recall / np.maximum(precision + recall, 1e-300)).max())

    measures: dict[str, Callable[[Any, Any], float]] = {
        "auroc": roc_auc_score,
        "ap": average_precision_score,
        "f1_max": f1,
    }
    found = {}
    for of, labels, scores in (
        ("image", scene.labels, scene.scores),
        ("pixel", scene.masks.ravel(), scene.maps.ravel()),
    ):
        found |= {f"{of}_{name}": float(call(labels, scores)) for name, call in measures.items()}
    return found


def torchmetrics(scene: Scene) -> dict[str, float]:
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    found = {}
    for of, labels, scores in (
        ("image", scene.labels, scene.scores),
        ("pixel", scene.masks.ravel(), scene.maps.ravel()),
    ):
        given = torch.from_numpy(scores), torch.from_numpy(labels).int()
        found[f"{of}_auroc"] = float(binary_auroc(*given))
        found[f"{of}_ap"] = float(binary_average_precision(*given))
    return found


def anomalib(scene: Scene) -> dict[str, float]:
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.f1_score import _F1Max

    found = {}
    for name, limit in LIMITS.items():
        metric = _AUPRO(fpr_limit=limit)
        metric.update(torch.from_numpy(scene.maps), torch.from_numpy(scene.masks).int())
        found[name] = float(metric.compute())
    for of, labels, scores in (
        ("image", scene.labels, scene.scores),
        ("pixel", scene.masks.ravel(), scene.maps.ravel()),
    ):
        best = _F1Max()
        best.update(torch.from_numpy(scores), torch.from_numpy(labels).int())
        found[f"{of}_f1_max"] = float(best.compute())
    return found


def adeval(scene: Scene) -> dict[str, float]:
    """Ask for as many steps as there are values, so that each has one of its own.

    Its area under precision and recall is that of a line from point to point, and no average precision.
    """
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # type: ignore[attr-defined]  # adeval 1.1 asks for what numpy 2.4 renamed
    from adeval import EvalAccumulator

    found = EvalAccumulator(0.0, 1.0 + 1 / STEPS, nstrips=STEPS + 1)
    found.add_image(scene.scores, scene.labels.astype(int))
    found.add_sample([0.0, 1.0], [0, 1])
    for values, mask in zip(scene.maps, scene.masks, strict=True):
        found.add_anomap(values, mask.astype(np.uint8))
    said = found.summary()
    return {"image_auroc": said["i_auroc"], "pixel_auroc": said["p_auroc"], "aupro_30": said["p_aupro"]}


PEERS = {
    "scikit-learn": scikit_learn,
    "torchmetrics": torchmetrics,
    "anomalib": anomalib,
    "adeval": adeval,
}


def published_pro(folder: Path, scene: Scene) -> float:
    """Run the published per-region overlap of a checkout of github.com/arimousa/DDAD."""
    sys.path.insert(0, str(folder))
    try:
        from metrics import Metric
    finally:
        sys.path.remove(str(folder))
    maps = [torch.from_numpy(each)[None, None] for each in scene.maps]
    masks = [torch.from_numpy(each)[None, None].float() for each in scene.masks]
    return float(Metric([], [], maps, masks, SimpleNamespace()).pixel_pro())
