"""Classes of noised images: the half of a U-Net that goes down, and attention over what comes out.

That of guided-diffusion (Dhariwal and Nichol 2021, arXiv 2105.05233, section 4 and appendix), whose tensors
`unet_keys` names. The last layer is CLIP's attention pooling (Radford et al. 2021, arXiv 2103.00020).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors.nets.group_norm import GroupNorm32
from ad_detectors.nets.unet import UNetEncoder, UNetShape


class UNetClassifier(UNetEncoder):
    """Says of x_t at the step t which of `out_channels` classes its clean image is of."""

    def __init__(self, shape: UNetShape) -> None:
        """Build the network of a shape whose `out_channels` are classes."""
        super().__init__(shape)
        if shape.out_channels is None:
            raise ValueError("a classifier's out_channels are its classes: say how many")
        deepest = shape.widths[-1]
        side = shape.image_size // 2 ** (len(shape.widths) - 1)
        pooled = AttentionPool(side, deepest, shape.heads_of(deepest), shape.out_channels)
        self.out = nn.Sequential(GroupNorm32(deepest), nn.SiLU(), pooled)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return logits (B, classes) for x (B, C, H, W) at the steps t (B,)."""
        found, _, _ = self.encoded(x, t)
        logits: Tensor = self.out(found)
        return logits


class AttentionPool(nn.Module):
    """Asks all places of a map, with the mean of all; channels are ordered [q, k, v][head][channel]."""

    def __init__(self, side: int, channels: int, heads: int, out: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(channels, side**2 + 1) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out) for maps (B, C, side, side)."""
        places = x.flatten(2)
        places = torch.cat([places.mean(dim=2, keepdim=True), places], dim=2) + self.positional_embedding
        rows = F.linear(places.transpose(1, 2), self.qkv_proj.weight[:, :, 0], self.qkv_proj.bias)
        split = rows.reshape(len(x), rows.shape[1], 3, self.heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, heads, HW + 1, ch)
        # Only what the mean asks is wanted.
        mixed = F.scaled_dot_product_attention(q[:, :, :1], k, v).flatten(1)
        return F.linear(mixed, self.c_proj.weight[:, :, 0], self.c_proj.bias)
