"""Distances to a bank of patches as a module of its own, for files that other programs run."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ad_detectors import maps
from ad_detectors.backbones.patches import PatchFeatures

BLOCK = 4096  # rows of the bank at a time: it bounds the memory of a runtime


class PatchDistances(nn.Module):
    """Scores and maps as `PatchCore.score` computes them, of images at the model's size.

    All queries at once: a runtime wants no loop over them. What differs is the rounding alone.
    """

    rows: Tensor
    centre: Tensor
    factors: Tensor
    scales: Tensor
    squares: Tensor

    def __init__(
        self,
        features: PatchFeatures,
        scales: Tensor,
        rows: Tensor,
        side: int,
        blur_sigma: float,
        neighbours: int,
    ) -> None:
        """Copy features, scales (D,) and the bank's rows (N, D).

        `neighbours` is b of the farthest patch's weight; with 0 an image's score is its map's maximum.
        """
        super().__init__()
        self.features = copy.deepcopy(features).to("cpu")
        self.side, self.blur_sigma = side, blur_sigma
        self.neighbours = min(neighbours, len(rows))
        self.register_buffer("scales", scales.detach().to("cpu", copy=True))
        self.register_buffer("rows", rows.detach().to("cpu", copy=True))
        # Far from the origin a product has few digits left for small distances.
        centre = self.rows.mean(dim=0)
        centred = self.rows - centre
        self.register_buffer("centre", centre)
        self.register_buffer("factors", -2.0 * centred.T.contiguous())
        self.register_buffer("squares", centred.square().sum(dim=1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, side, side) of images (B, 3, side, side), float32 0..255."""
        patches = self.features.embedded(images / 255.0) * self.scales  # (B, grid, grid, D)
        grid = patches.shape[1]
        queries = patches.flatten(0, 2)
        indices = self._nearest(queries)
        distances = torch.linalg.vector_norm(queries - self.rows[indices], dim=1).reshape(-1, grid, grid)
        full = maps.blurred(maps.stretched(distances, self.side, self.side), self.blur_sigma)
        if self.neighbours == 0:
            return full.amax(dim=(1, 2)), full
        return self._farthest(patches.flatten(1, 2), distances.flatten(1), indices), full

    def _nearest(self, queries: Tensor) -> Tensor:
        """Return the index of the nearest row to each query (Q, D)."""
        centred = queries - self.centre
        least = indices = None
        for first in range(0, len(self.rows), BLOCK):
            block = slice(first, min(first + BLOCK, len(self.rows)))
            products = centred @ self.factors[:, block] + self.squares[block]
            values, places = products.min(dim=1)
            if least is None or indices is None:
                least, indices = values, places
                continue
            nearer = values < least
            least, indices = torch.where(nearer, values, least), torch.where(nearer, places + first, indices)
        assert indices is not None
        return indices

    def _farthest(self, patches: Tensor, distances: Tensor, indices: Tensor) -> Tensor:
        """Return each image's farthest distance, less where the row's neighbours are as far (eq. 6, 7)."""
        farthest, place = distances.max(dim=1)
        if self.neighbours == 1:
            return farthest
        # Not by take_along_dim: to broadcast it, the tracer would settle on a number of images.
        patch = patches.gather(1, place[:, None, None].expand(-1, 1, patches.shape[2]))  # (B, 1, D)
        row = indices.reshape(-1, patches.shape[1]).gather(1, place[:, None])[:, 0]
        products = (self.rows[row] - self.centre) @ self.factors + self.squares
        around = products.topk(self.neighbours, largest=False).indices  # (B, b)
        far = torch.linalg.vector_norm(self.rows[around] - patch, dim=2)
        return farthest * (1.0 - torch.softmax(far, dim=1)[:, 0])
