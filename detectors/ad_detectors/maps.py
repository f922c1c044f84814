"""What is done with pictures and anomaly maps alike: sizes changed, and maps blurred."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TOP_SHARE = 0.01  # of a map, whose mean is the image score "top"


def to_model_size(images: Tensor, size: int) -> Tensor:
    """Return uint8 images (B, 3, H, W) at size x size, nearly as decoding a file at that size gives them.

    Torch rounds a few pixels otherwise than PIL, by a grey level. So whoever has a file has it decoded at the
    model's size (`data.decoding`), as training did.
    """
    return to_size(images, size, size)


def to_size(images: Tensor, height: int, width: int) -> Tensor:
    """Return uint8 images (B, 3, H, W) at another size, nearly as PIL resizes bilinearly."""
    if tuple(images.shape[-2:]) == (height, width):
        return images
    return F.interpolate(images.cpu(), (height, width), mode="bilinear", antialias=True, align_corners=False)


def stretched(maps: Tensor, height: int, width: int) -> Tensor:
    """Return maps (B, h, w) at another size, bilinear between the centres of their places: (B, H, W)."""
    if tuple(maps.shape[-2:]) == (height, width):
        return maps
    return F.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


def image_scores(maps: Tensor, kind: str) -> Tensor:  # (B,)
    """Return of each map (B, H, W) the largest value, the mean, or the mean of the largest hundredth.

    These are "max", "mean" and "top". Each map is summed alone, so its rounding does not depend on the batch.
    """
    if kind == "max":
        return maps.amax(dim=(1, 2))
    return top_mean(maps, 1.0 if kind == "mean" else TOP_SHARE)


def top_mean(maps: Tensor, share: float) -> Tensor:  # (B,)
    """Return the mean of the largest share, in (0, 1], of each map (B, H, W), of one place at least."""
    count = max(1, round(share * maps[0].numel()))
    return torch.stack([each.flatten().topk(count).values.mean() for each in maps])


def blur_radius(sigma: float) -> int:
    """Return how far a Gaussian cut off at four sigma reaches, in pixels."""
    return int(4.0 * sigma + 0.5)


def blurred(maps: Tensor, sigma: float) -> Tensor:
    """Return maps (B, H, W) under a Gaussian cut off at four sigma, with reflected borders."""
    radius = blur_radius(sigma)
    if radius == 0:
        return maps
    places = torch.arange(-radius, radius + 1, dtype=torch.float32, device=maps.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(maps[:, None], (radius,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[None, None, :, None])
    return F.conv2d(rows, kernel[None, None, None, :])[:, 0]


def median_filtered(maps: Tensor, side: int) -> Tensor:
    """Return maps (B, H, W) under a median filter of an odd side, with reflected borders."""
    if side == 1:
        return maps
    height, width = maps.shape[-2:]
    padded = F.pad(maps[:, None], (side // 2,) * 4, mode="reflect")
    windows = F.unfold(padded, side)  # (B, side * side, H * W)
    # Sorted whole: on CUDA torch.median gives no promise that it is deterministic.
    middle = windows.sort(dim=1).values[:, side * side // 2]
    return middle.view(-1, height, width)
