"""From images to their nearest drawings: the loss of a drawing, and the search that makes it small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors.zoo.anogan.config import Config
from ad_detectors.zoo.anogan.networks import Discriminator, Generator

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's


@dataclass(frozen=True)
class Drawing:
    """What an image comes nearest to."""

    z: Tensor  # (B, z_size)
    pictures: Tensor  # (B, 3, S, S) in -1..1
    loss: Tensor  # (B,)


@dataclass(frozen=True)
class Drawer:
    """Both networks, frozen in eval mode: with batch statistics images would depend on each other."""

    generator: Generator
    discriminator: Discriminator
    config: Config

    def drawing(self, z: Tensor, images: Tensor, features: Tensor) -> Drawing:
        """Return the drawings of z and their losses (eq. 4 to 6 of the paper).

        (1 - lambda) times the residual |x - G(z)|, plus lambda times |f(x) - f(G(z))|.
        """
        pictures = self.generator(z)
        apart = (self.discriminator.features(pictures) - features).abs()
        weight = self.config.weight
        loss = (1.0 - weight) * self._reduced((pictures - images).abs()) + weight * self._reduced(apart)
        return Drawing(z, pictures, loss)

    def features(self, images: Tensor) -> Tensor:
        """Return what the discriminator makes of images."""
        return self.discriminator.features(images)

    def searched(self, images: Tensor, start: Tensor) -> Drawing:
        """Go down the gradient of the loss from z = start; each image's search is its own.

        All losses are added up, and none depends on another image's z. Adam is written out without fused
        products, whose rounding would depend on a number's place in memory.
        """
        config = self.config
        features = self.features(images).detach()
        z, first, second = start, torch.zeros_like(start), torch.zeros_like(start)
        best: Drawing | None = None
        for step in range(1, config.search_steps + 1):
            z = z.detach().requires_grad_(True)
            with torch.enable_grad():
                found = self.drawing(z, images, features)
                wanted = found.loss + config.z_penalty * z.square().mean(dim=1)
                (gradient,) = torch.autograd.grad(wanted.sum(), z)
            best = self._better(best, found)
            first = first * BETA1 + gradient * (1.0 - BETA1)
            second = second * BETA2 + gradient * gradient * (1.0 - BETA2)
            root = (second / (1.0 - BETA2**step)).sqrt() + EPSILON
            z = z.detach() - config.search_lr * ((first / (1.0 - BETA1**step)) / root)
        return self._better(best, self.drawing(z.detach(), images, features))

    def best_of(self, images: Tensor, starts: Tensor) -> Drawing:
        """Return the best of the searches from several starts (R, B, z_size)."""
        found = self.searched(images, starts[0])
        for start in starts[1:]:
            found = nearer(found, self.searched(images, start))
        return found

    def _better(self, before: Drawing | None, found: Drawing) -> Drawing:
        found = Drawing(found.z.detach(), found.pictures.detach(), found.loss.detach())
        return found if before is None or self.config.keep == "last" else nearer(before, found)

    def _reduced(self, apart: Tensor) -> Tensor:  # (B,)
        flat = apart.flatten(1)
        return flat.mean(dim=1) if self.config.reduction == "mean" else flat.sum(dim=1)


def nearer(a: Drawing, b: Drawing) -> Drawing:
    """Return of each image the drawing with the smaller loss."""
    closer = b.loss < a.loss
    return Drawing(
        torch.where(closer[:, None], b.z, a.z),
        torch.where(closer[:, None, None, None], b.pictures, a.pictures),
        torch.where(closer, b.loss, a.loss),
    )
