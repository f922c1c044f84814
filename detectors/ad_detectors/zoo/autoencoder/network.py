"""The network of the autoencoder, its losses, and the map of what it does not bring back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ad_detectors.maps import blurred
from ad_detectors.nets.ssim import ssim
from ad_detectors.pixels import normalised


class AutoencoderNet(nn.Module):
    """Halves the sides of images in -1..1 with each width, narrows to `latent` channels, and back again."""

    def __init__(self, widths: Sequence[int], latent: int) -> None:
        super().__init__()
        down: list[nn.Module] = []
        for before, after in zip((3, *widths[:-1]), widths, strict=True):
            down += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], latent, 1))
        up: list[nn.Module] = [nn.Conv2d(latent, widths[-1], 1), nn.ReLU()]
        turned = tuple(reversed(widths))
        for before, after in zip(turned, (*turned[1:], turned[-1]), strict=True):
            up += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        # An upsampling as the last layer would leave a chequered pattern.
        self.decoder = nn.Sequential(*up, nn.Conv2d(turned[-1], 3, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return what comes back: (B, 3, S, S), in about -1..1."""
        rebuilt: Tensor = self.decoder(self.encoder(images))
        return rebuilt


def loss_of(kind: str, images: Tensor, rebuilt: Tensor) -> Tensor:
    """Return the loss of a batch in -1..1: the mean of its map, or the sum of two."""
    parts = [distance(each, images, rebuilt).mean() for each in kind.split("+")]
    return torch.stack(parts).sum()


def distance(kind: str, images: Tensor, rebuilt: Tensor) -> Tensor:  # (B, S, S)
    """Return how far images in -1..1 are from what came back, the mean over the channels at each place."""
    if kind == "ssim":
        return 1.0 - ssim(images, rebuilt, span=2.0)
    apart = images - rebuilt
    return (apart.square() if kind == "l2" else apart.abs()).mean(dim=1)


class Judge(nn.Module):
    """What scoring computes of images at the model's size; also what is exported."""

    def __init__(self, net: AutoencoderNet, measure: str, image_score: str, sigma: float) -> None:
        super().__init__()
        self.net, self.measure, self.image_score, self.sigma = net, measure, image_score, sigma

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, S, S) of images (B, 3, S, S) in 0..255."""
        pixels = normalised(images)
        maps = blurred(distance(self.measure, pixels, self.net(pixels)), self.sigma)
        return maps.amax(dim=(1, 2)) if self.image_score == "max" else maps.mean(dim=(1, 2)), maps
