"""Resizing as Pillow does it, to the same bits, out of operators that every runtime has.

ONNX has an operator Resize that can antialias, but it rounds once at the end where Pillow rounds to whole
grey levels after each of its two passes: one pixel in ten comes out a grey level off. A pass is a product
with a matrix of Pillow's own coefficients, which depend on the size alone and are computed in the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Pillow counts in 2^-22 of a grey level (src/libImaging/Resample.c, PRECISION_BITS). A float32 holds whole
# numbers up to 2^24 exactly, so a coefficient is split: its upper 16 bits sum up to 2^16 whatever the size,
# and its lower 6 bits leave room for a sum over hundreds of pixels.
ONE = 2.0**22
LOWER = 2.0**6
UPPER = ONE / LOWER


class PillowResize(nn.Module):
    """Images at side x side as `Image.resize((side, side), BILINEAR)` gives them, of any size.

    Exact for pictures of up to 256 times the side; beyond, rarely a pixel may be one grey level off.
    """

    def __init__(self, side: int, *, branching: bool = True) -> None:
        """Compute one order of the passes; without `branching` both, for runtimes that choose wrongly."""
        super().__init__()
        self.side, self.branching = side, branching

    def forward(self, images: Tensor) -> Tensor:
        """Return images (B, 3, H, W) of whole numbers 0..255, float32, at (B, 3, side, side)."""
        # Pillow 13 begins with the height where that shrinks far more; the order changes last bits.
        taller = images.shape[-2] - self.side
        wider = images.shape[-1] - self.side
        if self.branching:
            tall = torch.sym_min(taller, taller - 2 * wider) > 0
            ways = self._height_first, self._width_first
            resized: Tensor = torch.cond(tall, *ways, (images,))  # type: ignore[arg-type]
            return resized
        more, less = torch.scalar_tensor(taller), torch.scalar_tensor(2 * wider)
        both = self._height_first(images), self._width_first(images)
        return torch.where((more > 0) & (more > less), *both)

    def _width_first(self, images: Tensor) -> Tensor:
        return self._columns(self._rows(images)).contiguous()

    def _height_first(self, images: Tensor) -> Tensor:
        return self._rows(self._columns(images)).contiguous()

    def _rows(self, images: Tensor) -> Tensor:
        return _squeezed(images, coefficients(images.shape[-1], self.side))

    def _columns(self, images: Tensor) -> Tensor:
        turned = images.transpose(-1, -2)
        return _squeezed(turned, coefficients(images.shape[-2], self.side)).transpose(-1, -2)


def coefficients(size: int, side: int) -> Tensor:
    """Return what each of `size` pixels counts for in each of `side`: (side, size) float64, in 2^-22."""
    scale = size / side
    reach: float = torch.sym_max(scale, 1.0)  # type: ignore[assignment]
    centres = (torch.arange(side, dtype=torch.float64) + 0.5) * scale
    first = (centres - reach + 0.5).floor().clamp(min=0)
    end = (centres + reach + 0.5).floor()
    places = torch.arange(size, dtype=torch.float64)
    far = ((places[None] - centres[:, None] + 0.5) / reach).abs()
    shares = (1.0 - far).clamp(min=0.0)
    shares = torch.where((places[None] >= first[:, None]) & (places[None] < end[:, None]), shares, 0.0)
    return (shares / shares.sum(1, keepdim=True) * ONE + 0.5).floor()


def _squeezed(lines: Tensor, weights: Tensor) -> Tensor:
    """Return lines (..., size) under weights (side, size): (..., side), rounded as Pillow rounds."""
    upper = (weights / LOWER).floor()
    lower = weights - upper * LOWER
    sums = lines @ upper.float().T + UPPER / 2  # half a grey level more: it is rounded down below
    whole = (sums / UPPER).floor()
    rest = (sums - whole * UPPER) * LOWER + lines @ lower.float().T
    return (whole + (rest / ONE).floor()).clamp(0.0, 255.0)
