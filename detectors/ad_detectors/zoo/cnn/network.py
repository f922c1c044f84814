"""Three blocks of convolution and pooling, two fully connected layers, and what each place adds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.maps import blurred, stretched
from ad_detectors.pixels import normalised


class Classifier(nn.Module):
    """Logits of (normal, anomalous) for images in -1..1 whose sides are multiples of 32."""

    def __init__(self, widths: Sequence[int], hidden: int, grid: int, batch_norm: bool) -> None:
        super().__init__()
        self.grid = grid
        layers: list[nn.Module] = []
        for before, after in zip((3, *widths[:-1]), widths, strict=True):
            layers.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
            layers += [nn.BatchNorm2d(after)] if batch_norm else []
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*layers)
        self.inner = nn.Linear(widths[-1] * grid * grid, hidden)
        self.outer = nn.Linear(hidden, 2)

    def forward(self, images: Tensor) -> Tensor:  # (B, 2)
        """Return the logits."""
        features = self.blocks(images)
        logits: Tensor = self.outer(F.relu(self.inner(self._pooled(features))))
        return logits

    def judged(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-odds of the anomalous class (B,), and what each place added to it (B, h, w).

        Of features (B, C, h, w). A place adds the sum over channels of feature times gradient (HiResCAM,
        Draelos and Carin, arXiv 2011.08891): but for the biases the places add up to the log-odds, since the
        layers behind are linear where they are. The gradient is written out, so that it can be exported.
        """
        inner = self.inner(self._pooled(features))
        logits = self.outer(F.relu(inner))
        back = (self.outer.weight[1] - self.outer.weight[0]) * (inner > 0)  # (B, hidden)
        gradient = torch.mm(back, self.inner.weight)
        gradient = gradient.reshape(-1, features.shape[1], self.grid, self.grid)
        cell = features.shape[-1] // self.grid
        spread = gradient.repeat_interleave(cell, 2).repeat_interleave(cell, 3) / cell**2
        return logits[:, 1] - logits[:, 0], (features * spread).sum(dim=1)

    def _pooled(self, features: Tensor) -> Tensor:  # (B, C * grid * grid)
        return F.avg_pool2d(features, features.shape[-1] // self.grid).flatten(1)


class Judge(nn.Module):
    """What scoring computes of images at the model's size; also what is exported."""

    def __init__(self, net: Classifier, size: int, sigma: float, probability: bool) -> None:
        super().__init__()
        self.net, self.size, self.sigma, self.probability = net, size, sigma, probability

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, size, size) of images (B, 3, size, size) in 0..255."""
        return self.finished(*self.net.judged(self.net.blocks(normalised(images))))

    def each_alone(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same, with products image by image: their rounding depends on what comes along."""
        features = self.net.blocks(normalised(images))
        found = [self.net.judged(each) for each in features.split(1)]
        odds, places = (torch.cat(parts) for parts in zip(*found, strict=True))
        return self.finished(odds, places)

    def finished(self, odds: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and maps of log-odds (B,) and what places added to them (B, h, w)."""
        maps = blurred(stretched(places, self.size, self.size), self.sigma)
        # In double precision, which rounds to the same float however it is computed.
        return torch.sigmoid(odds.double()).float() if self.probability else odds, maps
