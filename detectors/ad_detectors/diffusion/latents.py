"""What is computed of training pictures once and then remembered, such as their latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Images

Compute = Callable[[Tensor], tuple[Tensor, ...]]  # numbers (B,) of pictures -> tensors of B rows


class Numbers:
    """A split that gives the numbers of its pictures instead of their pixels."""

    def __init__(self, data: Images) -> None:
        self._data = data

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the pictures, in pixels."""
        return self._data.size

    @property
    def paths(self) -> Sequence[str]:
        """Return the sorted paths, relative to the category's folder."""
        return self._data.paths

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the indices themselves: int64 (B,)."""
        return torch.tensor(list(indices))


class Remembered:
    """Rows computed where they are first asked for, in microbatches, and kept on the CPU.

    A row is the same to the bit whatever it was computed together with, so that a fit which is gone on with,
    and asks for others first, comes to the same.
    """

    def __init__(self, compute: Compute, divisor: int = 1) -> None:
        self._compute, self._divisor = compute, divisor
        self._rows: dict[int, tuple[Tensor, ...]] = {}

    def of(self, numbers: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
        """Return the rows of these numbers, stacked, on a device."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._rows]
        if missing:
            with torch.no_grad():
                found = determinism.microbatched(self._compute, torch.tensor(missing), divisor=self._divisor)
            for number, *row in zip(missing, *(each.cpu() for each in found), strict=True):
                self._rows[number] = tuple(row)
        columns = zip(*(self._rows[number] for number in numbers), strict=True)
        return tuple(torch.stack(column).to(device) for column in columns)
