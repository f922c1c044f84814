"""Sums of octaves of OpenSimplex noise over an image's pixels (AnoDDPM, Wyatt et al. 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.simplex import blocks, cells
from ad_detectors.diffusion.simplex.permutations import Hashes, permutations

AT_ONCE = 2**14  # places: more would not stay in a processor's cache


@dataclass(frozen=True, kw_only=True)
class Octaves:
    """How a field is made up of noises, each twice as fine as the one before and `persistence` as strong."""

    count: int = 6
    persistence: float = 0.8
    wavelength: float = 64.0  # of the first, in pixels; the published code calls it a frequency

    @property
    def deviation(self) -> float:
        """Return about what the deviation of a field is: that of one octave is 0.319."""
        return float(0.319 * sum(self.persistence ** (2 * k) for k in range(self.count)) ** 0.5)


def fields(
    seeds: Sequence[int],
    size: tuple[int, int],
    t: float,
    octaves: Octaves | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return a field for each seed, float32 (N, height, width), at the depth t of three-dimensional noise.

    A field depends on its seed, t, size and octaves alone. What all seeds have in common is computed once.
    """
    octaves, device = octaves or Octaves(), torch.device(device)
    # Operations are so small that a second thread costs more than it does.
    with determinism.using_threads(1):
        return _fields(seeds, size, t, octaves, device)


def _fields(
    seeds: Sequence[int], size: tuple[int, int], t: float, octaves: Octaves, device: torch.device
) -> Tensor:
    hashes = [Hashes(torch.from_numpy(each).to(device)) for each in permutations(seeds)]
    height, width = size
    result = torch.zeros(len(seeds), height * width, device=device)
    strength, wavelength = 1.0, octaves.wavelength
    for _ in range(octaves.count):
        for pixels, known in _known(height, width, wavelength, t, device):
            result[:, pixels].add_(known.sounding(hashes), alpha=strength)
        strength, wavelength = strength * octaves.persistence, wavelength / 2.0
    return result.view(len(seeds), height, width)


class Known(Protocol):
    """What there is to know of pixels of one octave before its seed."""

    def sounding(self, seeds: Sequence[Hashes]) -> Tensor:
        """Return their noise (S, N), of seeds."""


def _known(
    height: int, width: int, wavelength: float, t: float, device: torch.device
) -> Iterator[tuple[slice, Known]]:
    """Yield slices of the pixels, and what is known of them."""
    if blocks.suit((height, width), wavelength, device):
        yield slice(height * width), blocks.plan((height, width), int(wavelength), t)
    else:
        for pixels, places in _places(height, width, wavelength, t, device):
            yield pixels, cells.heard(places)


def _places(
    height: int, width: int, wavelength: float, t: float, device: torch.device
) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the pixels and where they lie: float64 (3, N), as x, y, t in wavelengths."""
    # Metal has no float64: there what decides is computed beside it.
    exact = device if device.type in ("cpu", "cuda") else torch.device("cpu")
    x = torch.arange(width, dtype=torch.float64, device=exact) / wavelength
    y = torch.arange(height, dtype=torch.float64, device=exact) / wavelength
    at_once = AT_ONCE if device.type == "cpu" else height * width
    rows = max(1, at_once // width)
    for top in range(0, height, rows):
        some = y[top : top + rows]
        depth = torch.full((len(some) * width,), t / wavelength, dtype=torch.float64, device=exact)
        places = torch.stack([x.repeat(len(some)), some.repeat_interleave(width), depth])
        yield slice(top * width, (top + len(some)) * width), places
