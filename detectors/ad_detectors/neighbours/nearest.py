"""Which vector of a bank is nearest to a query, by matrix products in memory that is bounded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

QUERIES = 1024  # at a time
BLOCK = 64  # rows of the bank of which first the least product alone is found
BLOCKS = 64  # at a time: products of 16 MB, which stay near the processor


@dataclass(frozen=True)
class Nearest:
    """For each query the nearest row of the bank."""

    distances: Tensor  # (Q,) float32, measured as |q - row|
    indices: Tensor  # (Q,) int64


class Bank:
    """Rows to search in, with what every search needs of them."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows.contiguous()  # (N, D) float32
        # Far from the origin a product has few digits left for small distances.
        self._centre = self.rows.mean(dim=0)
        centred = self.rows - self._centre
        squares = torch.linalg.vector_norm(centred, dim=1).square()
        missing = -len(rows) % BLOCK
        # (q, 1) . (-2 row, |row|^2) = |q - row|^2 - |q|^2; rows that fill up the last block are infinite.
        filled = [
            F.pad(-2.0 * centred, (0, 0, 0, missing)),
            F.pad(squares, (0, missing), value=torch.inf)[:, None],
        ]
        self._factors = torch.cat(filled, dim=1)

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, queries: Tensor) -> Nearest:
        """Return the nearest row to each query (Q, D).

        Of rows that differ in distance by no more than the rounding of a product any may be found; its own
        distance is exact. The result for a query does not depend on the bank's being searched in parts.
        """
        found = [self._nearest(some - self._centre) for some in torch.split(queries, QUERIES)]
        indices = torch.cat(found)
        return Nearest(torch.linalg.vector_norm(queries - self.rows[indices], dim=1), indices)

    def closest(self, query: Tensor, count: int) -> Tensor:
        """Return the indices of the `count` nearest rows to one query (D,), nearest first."""
        distances = torch.linalg.vector_norm(self.rows - query, dim=1)
        indices: Tensor = distances.topk(min(count, len(self)), largest=False).indices
        return indices

    def farthest(self, queries: Tensor, found: Nearest, neighbours: int) -> Tensor:
        """Return the distance of the farthest query, less where the rows around its own are as far.

        PatchCore's image score (equations 6 and 7) with b = `neighbours`; with 1 the bare distance.
        """
        place = int(found.distances.argmax())
        distance = found.distances[place]
        if neighbours == 1 or len(self) == 1:
            return distance
        around = self.closest(self.rows[found.indices[place]], neighbours)
        distances = torch.linalg.vector_norm(self.rows[around] - queries[place], dim=1)
        return distance * (1.0 - torch.softmax(distances, 0)[0])

    def _nearest(self, queries: Tensor) -> Tensor:
        factors = F.pad(queries, (0, 1), value=1.0)
        each = torch.arange(len(queries), device=queries.device)
        least = torch.full((len(queries),), torch.inf, device=queries.device)
        indices = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
        for first in range(0, len(self._factors), BLOCKS * BLOCK):
            products = torch.mm(factors, self._factors[first : first + BLOCKS * BLOCK].T)
            blocked = products.view(len(queries), -1, BLOCK)
            # To find a place costs four times as much as to find a value, so places are sought in one block.
            values, block = blocked.amin(dim=2).min(dim=1)
            places = first + BLOCK * block + blocked[each, block].argmin(dim=1)
            nearer = values < least
            least = torch.where(nearer, values, least)
            indices = torch.where(nearer, places, indices)
        return indices
