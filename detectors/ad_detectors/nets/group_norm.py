"""Group norm (Wu and He 2018, arXiv 1803.08494) whose gradient is not slow with channels last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

GROUPS = 32
ROW = 1024  # numbers in a row that are handled at once; a vector register would starve on single channels


class GroupNorm32(nn.GroupNorm):
    """Group norm over 32 groups, computed in float32 whatever the precision around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) or (B, C, L) and return x's own dtype."""
        wide = x.float()
        if torch.is_grad_enabled() and wide.device.type == "cpu" and _channels_last(wide):
            normed: Tensor = _ChannelsLast.apply(wide, self.weight, self.bias, self.eps)
            return normed.to(x.dtype)
        return super().forward(wide).to(x.dtype)


class _ChannelsLast(torch.autograd.Function):
    """What group norm is on a CPU, forwards; torch's own gradient takes three times as long there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        batch, channels, height, width = x.shape
        normed, mean, deviation = torch.native_group_norm(
            x, weight, bias, batch, channels, height * width, GROUPS, eps
        )
        ctx.save_for_backward(x, weight, mean, deviation)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return dx = a dy + b x + c for numbers a, b, c of each channel, and dweight, dbias."""
        x, weight, mean, inverse = ctx.saved_tensors  # the last two (B, groups); inverse is 1 / deviation
        batch, channels, height, width = x.shape
        each, places = channels // GROUPS, height * width
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        rows = _places_in_a_row(channels, places)
        of_x, of_y = (
            tensor.permute(0, 2, 3, 1).reshape(batch, places // rows, rows * channels)
            for tensor in (x, gradient)
        )
        result = of_x * of_y
        # Sums over places: (B, groups, channels of a group).
        xy, y = (
            each_row.sum(1).view(batch, rows, channels).sum(1).view(batch, GROUPS, each)
            for each_row in (result, of_y)
        )
        mean, inverse = mean[:, :, None], inverse[:, :, None]
        of_weight = ((xy - mean * y) * inverse).sum(0).flatten()
        scale = weight.view(GROUPS, each)
        sum_xy, sum_y = ((sums * scale).sum(2, keepdim=True) for sums in (xy, y))
        count = each * places
        b = (sum_y * mean - sum_xy) * inverse**3 / count
        c = -b * mean - sum_y * inverse / count
        a, b, c = (
            numbers.expand(batch, GROUPS, each).reshape(batch, 1, channels).repeat(1, 1, rows)
            for numbers in (inverse * scale, b, c)
        )
        torch.mul(of_y, a, out=result)
        result.addcmul_(of_x, b).add_(c)
        shaped = result.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return shaped, of_weight, y.sum(0).flatten(), None


def _channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _places_in_a_row(channels: int, places: int) -> int:
    """Return how many places are taken together: a power of two that divides them."""
    rows = 1
    while 2 * rows * channels <= ROW and places % (2 * rows) == 0:
        rows *= 2
    return rows
