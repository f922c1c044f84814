"""The constant that makes pixel distances comparable with feature distances, fitted on normal images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ad_detectors.errors import NotFinite, StateError

if TYPE_CHECKING:
    from ad_detectors.api import State

# In the units of images in -1..1, a hundredth of a grey level: a smaller greatest distance is rounding, and
# dividing by it would blow it up (the published code divides by zero on a perfect reconstruction).
LEAST_PIXEL_DISTANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class PixelScale:
    """max D_f / max D_p over training images; the published code takes them over a batch of test images."""

    batches: int = 0  # seen so far
    pixel_max: float = 0.0
    feature_max: float = 0.0

    def seen(self, pixel: Tensor, feature: Tensor) -> PixelScale:
        """Return the scale after one more batch of distance maps; raise NotFinite for what is no number."""
        if not bool(pixel.isfinite().all() and feature.isfinite().all()):
            raise NotFinite("ddad's reconstruction of a training image is not finite; lower w or lr")
        return PixelScale(
            batches=self.batches + 1,
            pixel_max=max(self.pixel_max, float(pixel.max())),
            feature_max=max(self.feature_max, float(feature.max())),
        )

    @property
    def value(self) -> float:
        """Return the factor for pixel distances; 1 when there were no features to compare with."""
        if self.batches == 0:
            return 1.0
        return self.feature_max / max(self.pixel_max, LEAST_PIXEL_DISTANCE)

    def state(self) -> State:
        """Return the numbers seen so far."""
        return {"batches": self.batches, "pixel_max": self.pixel_max, "feature_max": self.feature_max}


def restored(state: State) -> PixelScale:
    """Return the scale of a state whose keys have lost their prefix; raise StateError."""
    try:
        return PixelScale(
            batches=int(state["batches"]),
            pixel_max=float(state["pixel_max"]),
            feature_max=float(state["feature_max"]),
        )
    except KeyError as error:
        raise StateError(f"this state lacks {error.args[0]} of ddad's pixel scale") from error
