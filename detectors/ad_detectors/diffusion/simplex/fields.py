"""Sums of octaves of OpenSimplex noise over an image's pixels (AnoDDPM, Wyatt et al. 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors.diffusion.simplex import cells
from ad_detectors.diffusion.simplex.permutations import SIZE, gradients_of, permutations, rows_of

AT_ONCE = 2**14  # places: more would not stay in a processor's cache
SLOTS_AT_ONCE = 2


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
    tables = [torch.from_numpy(each).to(device) for each in permutations(seeds)]
    hashes = [(rows_of(each), gradients_of(each)) for each in tables]
    height, width = size
    result = torch.zeros(len(seeds), height * width, device=device)
    strength, wavelength = 1.0, octaves.wavelength
    for _ in range(octaves.count):
        for pixels, places in _places(height, width, wavelength, t, device):
            heard = cells.heard(places)
            for number, (rows, gradients) in enumerate(hashes):
                result[number, pixels] += strength * _sounding(heard, rows, gradients)
        strength, wavelength = strength * octaves.persistence, wavelength / 2.0
    return result.view(len(seeds), height, width)


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


def _sounding(heard: cells.Heard, rows: Tensor, gradients: Tensor) -> Tensor:  # (N,)
    """Return the noise at places whose lattice points have these gradients."""
    count = heard.rows.shape[1]
    total = torch.zeros(count, device=rows.device)
    for first in range(0, cells.SLOTS, SLOTS_AT_ONCE):
        some = slice(first, first + SLOTS_AT_ONCE)
        hashed = rows.index_select(0, heard.rows[some].flatten())
        place = heard.layers[some].flatten().add(hashed).bitwise_and_(SIZE - 1)
        sound = gradients[0].index_select(0, place).view(-1, count).mul_(heard.weights[0, some])
        for axis in (1, 2):
            component = gradients[axis].index_select(0, place).view(-1, count)
            sound.add_(component.mul_(heard.weights[axis, some]))
        total += sound.sum(0)
    return total
