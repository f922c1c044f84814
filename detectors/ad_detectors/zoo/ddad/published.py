"""DDAD's settings as published for each category of MVTec AD and VisA, beside what they are said to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ad_detectors.config import Published

SOURCE = (
    "Mousakhan, Brox, Tayyub: Anomaly Detection with Conditioned Denoising Diffusion Models, "
    "https://arxiv.org/abs/2305.15956; settings and results: https://github.com/arimousa/DDAD#results"
)


@dataclass(frozen=True)
class Row:
    """One category: how it was trained, and what came of it on its test pictures, in percent."""

    w: float
    epochs: int
    adapt_epochs: int
    image_auroc: float
    pixel_auroc: float
    pro: float


MVTEC_AD: Mapping[str, Row] = {
    "carpet": Row(0, 2500, 0, 99.3, 98.7, 93.9),
    "grid": Row(4, 2000, 6, 100.0, 99.4, 97.3),
    "leather": Row(11, 2000, 8, 100.0, 99.4, 97.7),
    "tile": Row(4, 1000, 0, 100.0, 98.2, 93.1),
    "wood": Row(11, 2000, 16, 100.0, 95.0, 82.9),
    "bottle": Row(3, 1000, 5, 100.0, 98.7, 91.8),
    "cable": Row(3, 3000, 0, 99.4, 98.1, 88.9),
    "capsule": Row(8, 1500, 8, 99.4, 95.7, 93.4),
    "hazelnut": Row(5, 2000, 3, 100.0, 98.4, 86.7),
    "metal_nut": Row(7, 3000, 1, 100.0, 99.0, 91.1),
    "pill": Row(9, 1000, 4, 100.0, 99.1, 95.5),
    "screw": Row(2, 2000, 4, 99.0, 99.3, 96.3),
    "toothbrush": Row(0, 2000, 2, 100.0, 98.7, 92.6),
    "transistor": Row(0, 2000, 0, 100.0, 95.3, 90.1),
    "zipper": Row(10, 1000, 6, 100.0, 98.2, 93.2),
}
VISA: Mapping[str, Row] = {
    "candle": Row(6, 1000, 1, 99.9, 98.7, 96.6),
    "capsules": Row(5, 1000, 3, 100.0, 99.5, 95.0),
    "cashew": Row(0, 1750, 0, 94.5, 97.4, 80.3),
    "chewinggum": Row(6, 1250, 0, 98.1, 96.5, 85.2),
    "fryum": Row(4, 1000, 3, 99.0, 96.9, 94.2),
    "macaroni1": Row(5, 500, 7, 99.2, 98.7, 98.5),
    "macaroni2": Row(2, 500, 11, 99.2, 98.2, 99.3),
    "pcb1": Row(9, 500, 8, 100.0, 93.4, 93.3),
    "pcb2": Row(5, 500, 5, 99.7, 97.4, 93.3),
    "pcb3": Row(6, 500, 1, 97.2, 96.3, 86.6),
    "pcb4": Row(6, 500, 1, 100.0, 98.5, 95.5),
    "pipe_fryum": Row(8, 500, 6, 100.0, 99.5, 94.7),
}
AVERAGES = {"MVTec AD": (99.8, 98.1, 92.3), "VisA": (98.9, 97.6, 92.7)}  # image AUROC, pixel AUROC, PRO

# What all categories have in common stands in Config's defaults, which are the published ones; a category
# always has its epochs. `compat` is left to whoever wants it: with it a score depends on its neighbours.
_BASE: Mapping[str, Any] = {"steps": None, "epochs": 2000}
_OF_VISA: Mapping[str, Any] = {"v": 7.0, "adapt_lambda": 0.01, "adapt_batch_size": 32, "compat_batch": 32}
_OF_SOME: Mapping[str, Mapping[str, Any]] = {
    "cashew": {"v": 1.5},
    "macaroni2": {"adapt_batch_size": 16},
    "pcb1": {"adapt_batch_size": 16},
}


def _settings(row: Row) -> dict[str, Any]:
    return {"w": float(row.w), "epochs": row.epochs, "adapt_epochs": row.adapt_epochs}


_PAPER = Published(
    source=SOURCE,
    base=_BASE,
    categories={
        **{name: _settings(row) for name, row in MVTEC_AD.items()},
        **{name: _settings(row) | {**_OF_VISA, **_OF_SOME.get(name, {})} for name, row in VISA.items()},
    },
)
PUBLISHED: dict[str, Published] = {"paper": _PAPER}
