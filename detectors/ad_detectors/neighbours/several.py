"""How far a query is from several of its nearest rows, by matrix products in memory that is bounded."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 4096  # rows at a time


def mean_square(queries: Tensor, rows: Tensor, count: int) -> Tensor:  # (Q,)
    """Return the mean squared distance of each query (Q, D) to its `count` nearest of the rows (N, D).

    Products find the nearest, and their distances are then taken exactly; of fewer rows all count.
    """
    # Far from the origin a product has few digits left for small distances.
    centre = rows.mean(dim=0)
    centred = queries - centre
    values, places = [], []
    for first in range(0, len(rows), BLOCK):
        some = rows[first : first + BLOCK] - centre
        products = some.square().sum(dim=1) - 2.0 * torch.mm(centred, some.T)
        found = products.topk(min(count, len(some)), largest=False)
        values.append(found.values)
        places.append(found.indices + first)
    among = torch.cat(values, dim=1).topk(min(count, len(rows)), largest=False).indices
    nearest = torch.cat(places, dim=1).gather(1, among)  # (Q, count)
    return (rows[nearest] - queries[:, None]).square().sum(dim=2).mean(dim=1)
