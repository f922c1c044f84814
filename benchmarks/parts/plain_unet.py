"""The denoising U-Net written down plainly, step by step as it is described, for ours to be measured against.

ADM's network as DDAD uses it (arXiv 2105.05233, appendix; arXiv 2305.15956, section 5): float32, channels
first, attention as a product, a softmax and a product, every matrix of it in memory. Takes the weights of
`ad_detectors.nets.unet.UNet`, whose names it shares; nothing of that network computes here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.nets.unet import UNetShape


class PlainUNet(nn.Module):
    """Predicts the noise in x_t; t is given as numbers 0..999."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.base = base = shape.base_channels
        self.embedding = 4 * base
        self.time_embedding = nn.Sequential(
            nn.Identity(), nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, 4 * base)
        )
        widths, factors = shape.widths, shape.attention_factors
        self.down = nn.ModuleList([nn.ModuleList([nn.Conv2d(shape.in_channels, base, 3, padding=1)])])
        channels, factor, kept = base, 1, [base]
        for level, width in enumerate(widths):
            for _ in range(shape.residual_blocks):
                self.down.append(self._step(shape, channels, width, attends=factor in factors))
                channels = width
                kept.append(width)
            if level + 1 < len(widths):
                self.down.append(nn.ModuleList([Block(width, width, self.embedding, shape.dropout, "down")]))
                kept.append(width)
                factor *= 2
        self.middle = nn.ModuleList(
            [
                Block(channels, channels, self.embedding, shape.dropout),
                Attention(channels, shape.heads),
                Block(channels, channels, self.embedding, shape.dropout),
            ]
        )
        self.up = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for number in range(shape.residual_blocks + 1):
                step = self._step(shape, channels + kept.pop(), width, attends=factor in factors)
                channels = width
                if level > 0 and number == shape.residual_blocks:
                    step.append(Block(width, width, self.embedding, shape.dropout, "up"))
                    factor //= 2
                self.up.append(step)
        self.out = nn.Sequential(
            nn.GroupNorm(32, base), nn.SiLU(), nn.Conv2d(base, shape.in_channels, 3, padding=1)
        )

    def _step(self, shape: UNetShape, channels: int, width: int, *, attends: bool) -> nn.ModuleList:
        layers: list[nn.Module] = [Block(channels, width, self.embedding, shape.dropout)]
        return nn.ModuleList([*layers, *([Attention(width, shape.heads)] if attends else [])])

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the predicted noise, (B, C, H, W)."""
        half = self.base // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
        angles = t[:, None].float() * frequencies[None]
        time = self.time_embedding(torch.cat([angles.sin(), angles.cos()], dim=1))
        kept = []
        for step in self.down:
            x = _through(step, x, time)
            kept.append(x)
        x = _through(self.middle, x, time)
        for step in self.up:
            x = _through(step, torch.cat([x, kept.pop()], dim=1), time)
        result: Tensor = self.out(x)
        return result


class Block(nn.Module):
    """A residual block; may halve or double the size between its activation and its first convolution."""

    def __init__(
        self, channels: int, width: int, embedding: int, dropout: float, resample: str | None = None
    ) -> None:
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, width, 3, padding=1)
        )
        self.embed_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, width), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(width, width, 3, padding=1)
        )
        self.skip_connection = nn.Conv2d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return (B, width, H', W')."""
        norm, activation, convolution = self.in_layers
        hidden = activation(norm(x))
        if self.resample == "down":
            hidden, x = F.avg_pool2d(hidden, 2), F.avg_pool2d(x, 2)
        elif self.resample == "up":
            hidden, x = (F.interpolate(each, scale_factor=2, mode="nearest") for each in (hidden, x))
        hidden = convolution(hidden) + self.embed_layers(time)[:, :, None, None]
        result: Tensor = self.skip_connection(x) + self.out_layers(hidden)
        return result


class Attention(nn.Module):
    """Self-attention over all places, head by head."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what attention adds."""
        batch, channels, height, width = x.shape
        flat = x.reshape(batch, channels, height * width)
        each = channels // self.heads
        grouped = self.to_qkv(self.norm(flat)).reshape(batch * self.heads, 3 * each, height * width)
        q, k, v = grouped.split(each, dim=1)  # (B * heads, each, HW)
        scale = each**-0.25
        likeness = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        shares = torch.softmax(likeness, dim=2)
        mixed = torch.einsum("bts,bcs->bct", shares, v).reshape(batch, channels, height * width)
        return (flat + self.proj_out(mixed)).reshape(x.shape)


def _through(step: nn.Module, x: Tensor, time: Tensor) -> Tensor:
    for layer in step.children():
        x = layer(x, time) if isinstance(layer, Block) else layer(x)
    return x
