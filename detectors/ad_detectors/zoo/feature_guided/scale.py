"""How far pixels and features of normal images are from their reconstructions: what makes both alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors.errors import NotFinite, StateError

if TYPE_CHECKING:
    from ad_detectors.api import State

SHARE = 0.995  # of an image's places that are nearer
LEAST = 1e-4  # a smaller distance is rounding, and dividing by it would blow it up


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sums over normal images of the distance that all but a few of their places keep."""

    images: int = 0  # seen so far
    pixel_sum: float = 0.0
    feature_sum: float = 0.0
    ready: bool = False

    def seen(self, pixel: Tensor, feature: Tensor) -> Scale:
        """Return the scale after some more images' distances (B, H, W); raise NotFinite."""
        if not bool(pixel.isfinite().all() and feature.isfinite().all()):
            raise NotFinite("feature_guided's reconstruction of a normal image is not finite; lower lr")
        sums = [float(torch.quantile(each.flatten(1).cpu(), SHARE, dim=1).sum()) for each in (pixel, feature)]
        return replace(
            self,
            images=self.images + len(pixel),
            pixel_sum=self.pixel_sum + sums[0],
            feature_sum=self.feature_sum + sums[1],
        )

    def finished(self) -> Scale:
        """Return the scale as one that may be used."""
        return replace(self, ready=True)

    @property
    def pixel(self) -> float:
        """Return what a distance of pixels is divided by."""
        return max(self.pixel_sum / max(self.images, 1), LEAST)

    @property
    def feature(self) -> float:
        """Return what a distance of features is divided by."""
        return max(self.feature_sum / max(self.images, 1), LEAST)

    def state(self) -> State:
        """Return the numbers seen so far."""
        sums = {"pixel_sum": self.pixel_sum, "feature_sum": self.feature_sum}
        return {"images": self.images, **sums, "ready": self.ready}


def restored_scale(state: State) -> Scale:
    """Return the scale of a state whose keys have lost their prefix; raise StateError."""
    try:
        return Scale(
            images=int(state["images"]),
            pixel_sum=float(state["pixel_sum"]),
            feature_sum=float(state["feature_sum"]),
            ready=state["ready"] is True,
        )
    except KeyError as error:
        raise StateError(f"this state lacks {error.args[0]} of feature_guided's scale") from error
