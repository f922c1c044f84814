"""Generator, discriminator and encoder: DCGAN's blocks, kernels of 4 with stride 2 (arXiv 1511.06434)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

SMALLEST = 4  # pixels across where the networks are narrowest
SLOPE = 0.2  # of the leaky ReLU
SPREAD = 0.02  # of the first weights


class Generator(nn.Module):
    """Draws images (B, 3, S, S) in -1..1 from z (B, z_size)."""

    def __init__(self, size: int, base: int, z_size: int) -> None:
        super().__init__()
        widths = _widths(size, base)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(z_size, widths[0], SMALLEST, 1, 0, bias=False)]
        layers += [nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for before, after in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1))
        _start(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return the drawings."""
        drawn = self.layers(z[:, :, None, None])
        # Picture by picture: a CPU approximates tanh, by other code where a thread's share ends.
        return torch.cat([torch.tanh(each) for each in drawn.split(1)])


class Discriminator(nn.Module):
    """Says whether images in -1..1 are real: a logit for each, and the features behind it."""

    def __init__(self, size: int, base: int) -> None:
        super().__init__()
        self.blocks = _down(size, base)
        self.verdict = nn.Conv2d(_widths(size, base)[-1], 1, SMALLEST)
        _start(self)

    def forward(self, images: Tensor) -> Tensor:  # (B,)
        """Return the logits."""
        verdict: Tensor = self.verdict(self.blocks(images))
        return verdict.flatten()

    def features(self, images: Tensor) -> Tensor:  # (B, C, 4, 4)
        """Return the activations of the layer before the last."""
        found: Tensor = self.blocks(images)
        return found


class Encoder(nn.Module):
    """Guesses the z that an image could be drawn from (f-AnoGAN, doi 10.1016/j.media.2019.01.010)."""

    def __init__(self, size: int, base: int, z_size: int) -> None:
        super().__init__()
        self.blocks = _down(size, base)
        self.guess = nn.Conv2d(_widths(size, base)[-1], z_size, SMALLEST)
        _start(self)

    def forward(self, images: Tensor) -> Tensor:  # (B, z_size)
        """Return the guesses."""
        guess: Tensor = self.guess(self.blocks(images))
        return guess.flatten(1)


def _widths(size: int, base: int) -> list[int]:
    """Return the channels at each size, from half of the image down to 4 x 4."""
    return [base * 2**level for level in range((size // SMALLEST).bit_length() - 1)]


def _down(size: int, base: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for width in _widths(size, base):
        first = before == 3
        layers.append(nn.Conv2d(before, width, 4, 2, 1, bias=first))
        # The first layer has no batch norm, as published: it would hide how bright images are.
        layers += [] if first else [nn.BatchNorm2d(width)]
        layers.append(nn.LeakyReLU(SLOPE))
        before = width
    return nn.Sequential(*layers)


def _start(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, SPREAD)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, SPREAD)
