"""DTE as a module of its own, for files that other programs run."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from ad_detectors.backbones.patches import PatchFeatures
from ad_detectors.zoo.dte.estimating import Estimate
from ad_detectors.zoo.dte.vectors import finished


class PatchTimes(nn.Module):
    """Scores and maps as `DTE.score` computes them of images at the model's size, all at once."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        features: PatchFeatures,
        estimate: Estimate,
        mean: Tensor,
        deviation: Tensor,
        side: int,
        sigma: float,
    ) -> None:
        """Copy everything to the CPU; mean and deviation are (D,)."""
        super().__init__()
        self.features = copy.deepcopy(features).to("cpu")
        self.estimate = copy.deepcopy(estimate).to("cpu")
        self.side, self.sigma = side, sigma
        self.register_buffer("mean", mean.detach().to("cpu", copy=True))
        self.register_buffer("deviation", deviation.detach().to("cpu", copy=True))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, side, side) of images (B, 3, side, side), float32 0..255."""
        vectors = (self.features.embedded(images / 255.0) - self.mean) / self.deviation
        grid = vectors.shape[1]
        times = self.estimate(vectors.flatten(0, 2)).reshape(-1, grid, grid)
        return finished(times, self.side, self.sigma)
