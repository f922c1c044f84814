"""A configurable U-Net of the ADM family (Dhariwal and Nichol 2021, arXiv 2105.05233, appendix)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLIERS: dict[int, tuple[int, ...]] = {  # widths per level, in base channels, by image size
    256: (1, 1, 2, 2, 4, 4),
    128: (1, 1, 2, 3, 4),
    64: (1, 2, 3, 4),
    32: (1, 2, 3, 4),
}


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """Everything that decides a U-Net's tensors; names and shapes follow from it."""

    image_size: int
    base_channels: int
    heads: int
    dropout: float = 0.0
    in_channels: int = 3
    residual_blocks: int = 2
    attention_divisors: tuple[int, ...] = (32, 16, 8)

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the channels of each level, finest first."""
        return tuple(multiplier * self.base_channels for multiplier in MULTIPLIERS[self.image_size])

    @property
    def attention_factors(self) -> frozenset[int]:
        """Return the down-sampling factors with attention, computed from the image size as published."""
        return frozenset(self.image_size // divisor for divisor in self.attention_divisors)


class UNet(nn.Module):
    """Predicts the noise in x_t; parameter names are those of the published DDAD checkpoints."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        base, embedding = shape.base_channels, 4 * shape.base_channels
        self.time_embedding = nn.Sequential(
            Sinusoid(base), nn.Linear(base, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.down = nn.ModuleList([TimedSequential(nn.Conv2d(shape.in_channels, base, 3, padding=1))])
        skips = self._build_down(base, embedding)
        deepest = shape.widths[-1]
        self.middle = TimedSequential(
            ResidualBlock(deepest, deepest, embedding, shape.dropout),
            AttentionBlock(deepest, shape.heads),
            ResidualBlock(deepest, deepest, embedding, shape.dropout),
        )
        self.up = nn.ModuleList()
        self._build_up(deepest, embedding, skips)
        self.out = nn.Sequential(
            GroupNorm32(shape.widths[0]), nn.SiLU(), _zeroed(nn.Conv2d(base, shape.in_channels, 3, padding=1))
        )

    def _build_down(self, channels: int, embedding: int) -> list[int]:
        shape, skips, factor = self.shape, [channels], 1
        for level, width in enumerate(shape.widths):
            for _ in range(shape.residual_blocks):
                layers: list[nn.Module] = [ResidualBlock(channels, width, embedding, shape.dropout)]
                if factor in shape.attention_factors:
                    layers.append(AttentionBlock(width, shape.heads))
                self.down.append(TimedSequential(*layers))
                channels = width
                skips.append(channels)
            if level < len(shape.widths) - 1:
                block = ResidualBlock(channels, channels, embedding, shape.dropout, resample="down")
                self.down.append(TimedSequential(block))
                skips.append(channels)
                factor *= 2
        return skips

    def _build_up(self, channels: int, embedding: int, skips: list[int]) -> None:
        shape, factor = self.shape, 2 ** (len(self.shape.widths) - 1)
        for level in reversed(range(len(shape.widths))):
            width = shape.widths[level]
            for number in range(shape.residual_blocks + 1):
                layers: list[nn.Module] = [
                    ResidualBlock(channels + skips.pop(), width, embedding, shape.dropout)
                ]
                if factor in shape.attention_factors:
                    layers.append(AttentionBlock(width, shape.heads))
                channels = width
                if level > 0 and number == shape.residual_blocks:
                    layers.append(ResidualBlock(width, width, embedding, shape.dropout, resample="up"))
                    factor //= 2
                self.up.append(TimedSequential(*layers))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the predicted noise, (B, C, H, W), for x (B, C, H, W) at the steps t (B,)."""
        embedded: Tensor = F.silu(self.time_embedding(t))  # every block starts with this SiLU: once is enough
        skips: list[Tensor] = []
        for block in self.down:
            x = block(x, embedded)
            skips.append(x)
        x = self.middle(x, embedded)
        for block in self.up:
            x = block(torch.cat([x, skips.pop()], dim=1), embedded)
        return cast("Tensor", self.out(x))


class TimedSequential(nn.Sequential):
    """A sequence whose residual blocks are also given the embedded time."""

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:  # type: ignore[override]
        """Apply the layers in order."""
        for layer in self:
            x = layer(x, embedded) if isinstance(layer, ResidualBlock) else layer(x)
        return x


class Sinusoid(nn.Module):
    """Embeds time as sines, then cosines (guided-diffusion has them the other way round)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, t: Tensor) -> Tensor:
        """Return (B, dimension) for times (B,)."""
        half = self.dimension // 2
        steps = torch.arange(half, dtype=torch.float32, device=t.device)
        angles = t.float()[:, None] * torch.exp(-math.log(10000.0) / half * steps)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class GroupNorm32(nn.GroupNorm):
    """Group norm over 32 groups, computed in float32 whatever the precision around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(32, channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and return x's own dtype."""
        return super().forward(x.float()).to(x.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions with the time added in between; may halve or double the size (BigGAN style)."""

    def __init__(
        self, channels: int, width: int, embedding: int, dropout: float, resample: str | None = None
    ) -> None:
        super().__init__()
        self.resample = resample
        # The numbering (0, 2; 1; 0, 3) is that of the published checkpoints.
        self.in_layers = nn.Sequential(
            GroupNorm32(channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)
        )
        self.embed_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width))
        self.out_layers = nn.Sequential(
            GroupNorm32(width), nn.SiLU(), nn.Dropout(dropout), _zeroed(nn.Conv2d(width, width, 3, padding=1))
        )
        self.skip_connection = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Return (B, width, H', W'); `embedded` has passed its SiLU already."""
        hidden = self._resized(self.in_layers[1](self.in_layers[0](x)))
        hidden = self.in_layers[2](hidden)
        hidden = hidden + self.embed_layers[1](embedded)[:, :, None, None]
        return cast("Tensor", self.skip_connection(self._resized(x)) + self.out_layers(hidden))

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return x


class AttentionBlock(nn.Module):
    """Self-attention over all places; channels of the projection are ordered [head][q, k, v][channel]."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm32(channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = _zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what attention adds."""
        batch, channels, height, width = x.shape
        flat = x.reshape(batch, channels, height * width)
        qkv = self.to_qkv(self.norm(flat)).reshape(batch, self.heads, 3, channels // self.heads, -1)
        # The CPU's fused kernel wants a place's channels side by side; the other one is 5 times slower.
        q, k, v = (part.transpose(-1, -2).contiguous() for part in qkv.unbind(dim=2))  # (B, heads, HW, ch)
        # The same as scaling q and k by ch^(-1/4) each and a softmax in float32.
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(batch, channels, -1)
        return cast("Tensor", x + self.proj_out(mixed).reshape(x.shape))


def build_unet(shape: UNetShape, seed: int) -> UNet:
    """Return a freshly initialised U-Net that depends on the shape and the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(shape)


def empty_unet(shape: UNetShape) -> UNet:
    """Return a U-Net without storage, to be given its tensors by `load_state_dict(..., assign=True)`."""
    with torch.device("meta"):
        return UNet(shape)


def _zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    """Start a layer at zero, so that its block begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
