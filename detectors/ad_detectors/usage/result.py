"""What a model says of one picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ad_detectors.errors import DataError
from ad_detectors.report import overlay as colours


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """How anomalous one picture is: the higher the score, the more."""

    score: float  # without a fixed range; compare it with the threshold
    threshold: float | None = None  # on the score; None for a model that was not calibrated
    map_threshold: float | None = None  # on the map
    map: NDArray[np.float32] | None = field(default=None, repr=False)  # (H, W); None of a detector without
    picture: NDArray[np.uint8] = field(repr=False)  # (H, W, 3), RGB: what the model saw, at its own size

    @property
    def anomalous(self) -> bool | None:
        """Say whether the score exceeds the threshold; None without one."""
        return None if self.threshold is None else self.score > self.threshold

    def heat(self) -> NDArray[np.uint8]:  # (H, W, 3)
        """Return the map as colours on a fixed scale: orange and red is what exceeds the threshold.

        Without a threshold on the map its own highest value stands in for it, so that nothing is red and two
        pictures cannot be compared. Raises DataError where there is no map.
        """
        known, anchor = self._anchored()
        return colours.heat(known, anchor)

    def overlay(self) -> NDArray[np.uint8]:  # (H, W, 3)
        """Return the picture in grey under the colours of `heat`; raise DataError where there is no map."""
        known, anchor = self._anchored()
        return colours.overlay(self.picture, known, anchor)

    def _anchored(self) -> tuple[NDArray[np.float32], float]:
        if self.map is None:
            raise DataError("this detector makes no anomaly maps, so there is nothing to draw; use the score")
        return self.map, float(self.map.max()) if self.map_threshold is None else self.map_threshold
