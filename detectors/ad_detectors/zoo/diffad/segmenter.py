"""The network that marks where an image and its reconstructions differ as a defect does, and its loss.

Its layers and its loss are those of DRAEM (Zavrtanik et al. 2021, arXiv 2108.07610).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (1, 2, 4, 8, 8, 8)  # of the levels, in base channels, the finest first
SMOOTH = 1e-5
FALLS = {0.8: 0.2, 0.9: 0.2}  # after which share of the steps the learning rate falls to which part


class Segmenter(nn.Module):
    """A U-Net, of six levels as published; logits of (normal, anomalous) for each pixel."""

    def __init__(self, channels: int, base: int, levels: int = len(WIDTHS)) -> None:
        super().__init__()
        down = [width * base for width in WIDTHS[:levels]]
        skips = down[-2::-1]
        # As published, a level's channels become those of the next finer one while it is enlarged.
        up = [*skips[1:], down[0]]
        self.down = nn.ModuleList([_pair(a, b) for a, b in zip([channels, *down[:-1]], down, strict=True)])
        self.up = nn.ModuleList([_single(a, b) for a, b in zip([down[-1], *up[:-1]], up, strict=True)])
        self.merge = nn.ModuleList(
            [_pair(skip + width, width) for skip, width in zip(skips, up, strict=True)]
        )
        self.out = nn.Conv2d(up[-1], 2, 3, padding=1)
        self.apply(_begin)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 2, S, S) for (B, C, S, S) whose sides can be halved between all levels."""
        skips: list[Tensor] = []
        for level in self.down:
            x = level(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            enlarged = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = merge(torch.cat([up(enlarged), skips.pop()], dim=1))
        found: Tensor = self.out(x)
        return found


def focal_loss(logits: Tensor, masks: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of logits (B, 2, S, S) for masks (B, S, S), the mean over pixels.

    Lin et al. 2017, arXiv 1708.02002, eq. 4, with targets smoothed by SMOOTH as in DRAEM's code.
    """
    chances = torch.softmax(logits.float(), dim=1)
    wrong = masks.to(chances.dtype)
    anomalous = wrong.clamp(SMOOTH, 1.0 - SMOOTH)
    normal = (1.0 - wrong).clamp(SMOOTH, 1.0 - SMOOTH)
    right = normal * chances[:, 0] + anomalous * chances[:, 1] + SMOOTH
    return -((1.0 - right).clamp(min=0.0) ** gamma * right.log()).mean()


def marked(logits: Tensor) -> Tensor:  # (B, S, S)
    """Return the probability of being anomalous: the second half of a softmax over two."""
    return torch.sigmoid(logits[:, 1].float() - logits[:, 0].float())


def highest(maps: Tensor, pool: int) -> Tensor:  # (B,)
    """Return the highest mean of maps (B, S, S) over windows of `pool` pixels, with zeros around them."""
    return F.avg_pool2d(maps[:, None], pool, stride=1, padding=pool // 2).amax(dim=(1, 2, 3))


def rate_at(share: float) -> float:
    """Return the part of the learning rate that is left when this share of the steps has been made."""
    left = 1.0
    for after, part in FALLS.items():
        left *= part if share >= after else 1.0
    return left


def _single(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


def _pair(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(*_single(channels, width), *_single(width, width))


def _begin(layer: nn.Module) -> None:
    """Draw the first weights as published."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
