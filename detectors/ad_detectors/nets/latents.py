"""Pictures into latents and back: the two halves of an autoencoder whose maps are small with few channels.

The layers are those of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, appendix), which has them
from Esser et al. 2021 (arXiv 2012.09841).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.device import mixed_precision

GROUPS = 32  # of the group norm, or as many as divide the channels
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class LatentShape:
    """Everything that decides the layers of both halves."""

    image_size: int
    base_channels: int
    multipliers: tuple[int, ...]  # widths of the levels in base channels, the finest first
    residual_blocks: int  # of each level on the way in; one more on the way out
    channels: int  # of a latent
    attention: bool = True  # over all places of the smallest maps
    dropout: float = 0.0

    @property
    def side(self) -> int:
        """Return the side of a latent: every level but the last halves it."""
        return self.image_size >> (len(self.multipliers) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the channels of each level, finest first."""
        return tuple(multiplier * self.base_channels for multiplier in self.multipliers)


def encoder(shape: LatentShape, out: int) -> nn.Sequential:
    """Return a network from pictures (B, 3, S, S) in -1..1 to maps (B, out, side, side)."""
    widths, dropout = shape.widths, shape.dropout
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1)]
    channels = widths[0]
    for level, width in enumerate(widths):
        for _ in range(shape.residual_blocks):
            layers.append(Residual(channels, width, dropout))
            channels = width
        if level < len(widths) - 1:
            layers.append(Halved(width))
    return nn.Sequential(*layers, *_middle(channels, shape), *_last(channels, out))


def decoder(shape: LatentShape) -> nn.Sequential:
    """Return a network from latents (B, channels, side, side) to pictures (B, 3, S, S) in about -1..1."""
    widths, channels = shape.widths[::-1], shape.widths[-1]
    layers: list[nn.Module] = [nn.Conv2d(shape.channels, channels, 3, padding=1), *_middle(channels, shape)]
    for level, width in enumerate(widths):
        for _ in range(shape.residual_blocks + 1):
            layers.append(Residual(channels, width, shape.dropout))
            channels = width
        if level < len(widths) - 1:
            layers.append(Doubled(width))
    return nn.Sequential(*layers, *_last(channels, 3))


def applied(net: nn.Module, x: Tensor, mixed: bool) -> Tensor:
    """Apply half of an autoencoder, in mixed precision where that is wanted; the result is float32."""
    with mixed_precision(x.device, mixed):
        found: Tensor = net(x)
    return found.float()


class Residual(nn.Module):
    """Two convolutions beside a way past them."""

    def __init__(self, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(norm_of(channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)),
            *(norm_of(width), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(width, width, 3, padding=1)),
        )
        self.past = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H, W)."""
        passed: Tensor = self.past(x) + self.layers(x)
        return passed


class Halved(nn.Module):
    """Half the side by a convolution whose border of zeros lies below and to the right, as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2)."""
        found: Tensor = self.convolution(F.pad(x, (0, 1, 0, 1)))
        return found


class Doubled(nn.Module):
    """Twice the side: every pixel four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 H, 2 W)."""
        found: Tensor = self.convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return found


class Attention(nn.Module):
    """Self-attention with one head over all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm_of(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what attention adds."""
        batch, channels, height, width = x.shape
        q, k, v = self.to_qkv(self.norm(x)).reshape(batch, 3, 1, channels, -1).transpose(3, 4).unbind(dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v)  # (B, 1, HW, C)
        added: Tensor = self.out(mixed.transpose(2, 3).reshape(batch, channels, height, width))
        return x + added


def norm_of(channels: int) -> nn.GroupNorm:
    """Return a group norm over 32 groups, or over as many as divide the channels."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=EPSILON)


def spread(latents: Tensor) -> float:
    """Return the standard deviation of latents (N, C, h, w) around their one mean, never quite zero."""
    return max(float(latents.double().std(correction=0)), 1e-6)


def _middle(channels: int, shape: LatentShape) -> list[nn.Module]:
    first, second = (Residual(channels, channels, shape.dropout) for _ in range(2))
    return [first, *([Attention(channels)] if shape.attention else []), second]


def _last(channels: int, out: int) -> list[nn.Module]:
    return [norm_of(channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1)]
