"""The maps, masks and scores on which our measures and other people's are compared.

Everything is drawn from numpy's frozen legacy generator, so that it is the same wherever it is drawn. Values
lie within 0..1 and are multiples of 2**-12, so that nobody squashes them and a histogram of 4096 steps can be
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RECORDING = Path(__file__).parent / "parity" / "metrics.json"
STEPS = 4096
LIMITS = {"aupro_30": 0.3, "aupro_05": 0.05}


@dataclass(frozen=True)
class Scene:
    """Anomaly maps of some pictures, their masks, and a score for each picture."""

    maps: NDArray[np.float32]  # (N, H, W)
    masks: NDArray[np.bool_]  # (N, H, W)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Return the highest value of each map."""
        return self.maps.max((1, 2))

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Return which pictures have a defect."""
        return self.masks.any((1, 2))


def scenes() -> dict[str, Scene]:
    """Return every case by name."""
    random = np.random.RandomState(20_290_306)
    noise = random.rand(10, 32, 32)
    masks = _masks(10)
    seen = noise + 0.35 * masks
    defective = ~masks
    defective[:, 16, 16] = False  # anomalib takes a picture without a normal pixel for a normal one
    two = np.where(noise > 0.9, 1.0, 0.0) * (1 - masks) + masks * (noise > 0.3)
    return {
        "random": Scene(_grid(random.rand(10, 32, 32)), masks),
        "good": Scene(_grid(seen / seen.max()), masks),
        "ties": Scene(_grid((seen / seen.max()).round(1)), masks),
        "two values": Scene(_grid(two), masks),
        "perfect": Scene(_grid(0.25 + 0.5 * masks), masks),
        "inverted": Scene(_grid(1 - seen / seen.max()), masks),
        "constant": Scene(_grid(np.full(masks.shape, 0.5)), masks),
        "nearly all defective": Scene(_grid(noise), defective),
        "one pixel": Scene(_grid(noise), np.arange(10 * 32 * 32).reshape(10, 32, 32) == 777),
    }


def _masks(count: int) -> NDArray[np.bool_]:
    """Return masks with regions of many sizes, joined by corners and cut by borders; some are empty."""
    masks = np.zeros((count, 32, 32), np.bool_)
    for index in range(0, count, 2):
        masks[index, 2 : 4 + index, 3:15] = True
        masks[index, 20, 20 : 22 + index] = True
        masks[index, 21, 19] = True  # touches by a corner alone
        masks[index, 31, 31] = True
    return masks


def _grid(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.round(values * STEPS) / STEPS).astype(np.float32)
