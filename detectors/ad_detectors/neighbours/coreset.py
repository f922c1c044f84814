"""A few rows that cover all: exact greedy k-centre selection (Gonzalez 1985; PatchCore, algorithm 1).

Each pick is the row farthest from all picks before it; of equally far rows the first. The plain procedure
reads every row for every pick. Here picks are made in rounds, and both halves of a round give what the plain
procedure gives, to the bit:

* Distances only ever shrink. So a pick made among the farthest rows alone, brought up to date alone, is the
  right one for as long as it is farther than any row outside had been when the round began.
* Then all rows learn of the round's picks in one matrix product. By itself |x|^2 - 2 x.c + |c|^2 is too
  coarse: it only rules out, with a margin for its rounding, and what may be nearer is measured as |x - c|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors.errors import NotFinite

FRONT = 1024  # rows among which a round picks
PRODUCTS = 2**21  # at most so many entries of a matrix product at a time
MOST_ROWS = 2**15  # at most so many rows at a time, however few the picks
UNIT = 2.0**-24  # half the distance from 1 to the next float32


@dataclass(frozen=True)
class Cover:
    """A selection so far: enough to go on with the same rows, in another process too."""

    picks: Tensor  # (k,) int64, in the order they were picked
    distances: Tensor  # (N,) float32, of each row to the nearest pick


def start(rows: Tensor, first: int) -> Cover:
    """Return the selection of one row; raise NotFinite if any row holds an infinity or no number."""
    distances = torch.empty(len(rows), dtype=torch.float32, device=rows.device)
    for chunk in _spans(len(rows), MOST_ROWS):
        distances[chunk] = torch.linalg.vector_norm(rows[chunk] - rows[first], dim=1)
    if not bool(distances.isfinite().all()):
        raise NotFinite("a feature vector of the training images is not finite; try another backbone")
    return Cover(torch.tensor([first]), distances)


def grow(rows: Tensor, cover: Cover, size: int) -> Cover:
    """Return the selection grown to `size` rows, or fewer when all others equal one that was picked.

    The result does not depend on the number of threads, nor on how many calls it was reached in. Rows are
    float32 (N, D) and are never copied whole.
    """
    return _Growing(rows, cover).to(size)


class _Growing:
    """What is worth keeping between rounds."""

    def __init__(self, rows: Tensor, cover: Cover) -> None:
        self.rows = rows
        self.picks: list[int] = cover.picks.tolist()
        self.distances = cover.distances.to(rows.device, copy=True)
        self.squares = torch.cat([_squares(rows[chunk]) for chunk in _spans(len(rows), MOST_ROWS)])
        self.margin = _margin(rows.shape[1]) * (self.squares + self.squares.max())

    def to(self, size: int) -> Cover:
        while len(self.picks) < min(size, len(self.rows)):
            before = len(self.picks)
            radius = self._pick(size)
            if len(self.picks) == before:
                break
            self._tell_all(torch.tensor(self.picks[before:], device=self.rows.device), radius)
        return Cover(torch.tensor(self.picks), self.distances)

    def _pick(self, size: int) -> float:
        """Make the picks of a round; return how far the last one was from those before it."""
        front, beyond = self._front()
        rows, squares, margin = self.rows[front], self.squares[front], self.margin[front]
        distances = self.distances[front]
        reach = distances.square() + margin  # a square of a distance above it cannot be the nearest
        places = front.tolist()
        radius = math.inf
        while len(self.picks) < size:
            place = int(distances.argmax())
            farthest = float(distances[place])
            if farthest == 0.0 or (farthest <= beyond and radius < math.inf):
                break
            self.picks.append(places[place])
            radius = farthest
            products = torch.addmv(squares, rows, rows[place], alpha=-2.0)
            nearer = torch.nonzero(products < reach - squares[place]).flatten()
            measured = torch.linalg.vector_norm(rows[nearer] - rows[place], dim=1)
            nearest = torch.minimum(distances[nearer], measured)
            distances[nearer] = nearest
            reach[nearer] = nearest.square() + margin[nearer]
        return radius

    def _front(self) -> tuple[Tensor, float]:
        """Return the indices of the farthest rows, ascending, and the distance of the farthest other row."""
        if len(self.rows) <= FRONT:
            return torch.arange(len(self.rows), device=self.rows.device), -1.0
        farthest, indices = self.distances.topk(FRONT + 1, sorted=False)
        beyond = farthest.min()
        front = indices[farthest > beyond].sort().values
        if len(front) == 0:  # a tie of all of them, and of others perhaps: the first of the tie is right
            front = self.distances.argmax()[None]
        return front, float(beyond)

    def _tell_all(self, picks: Tensor, radius: float) -> None:
        """Let every row know of new picks, none of which is nearer than `radius` to any pick before it."""
        centres = self.rows[picks]
        # By the triangle inequality a row at most half as far from its own pick cannot be nearer to these.
        concerned = torch.nonzero(self.distances > 0.4999 * radius).flatten()
        for some in torch.split(concerned, max(1024, min(MOST_ROWS, PRODUCTS // len(centres)))):
            self._tell(some, centres, self.squares[picks])

    def _tell(self, some: Tensor, centres: Tensor, squares: Tensor) -> None:
        rows, distances, margin = self.rows[some], self.distances[some], self.margin[some]
        products = torch.addmm(squares, rows, centres.T, alpha=-2.0)  # (rows, picks): |x - c|^2 - |x|^2
        least = products.amin(dim=1)
        reach = distances.square() - self.squares[some] + margin
        hit = torch.nonzero(least < reach).flatten()
        if len(hit) == 0:
            return
        # Twice the margin: both the least product and the one that is truly least may be off by it.
        within = torch.minimum(reach[hit], least[hit] + 2.0 * margin[hit])
        row, centre = torch.nonzero(products[hit] <= within[:, None], as_tuple=True)
        measured = torch.linalg.vector_norm(rows[hit[row]] - centres[centre], dim=1)
        nearest = distances[hit].scatter_reduce(0, row, measured, "amin")
        self.distances[some[hit]] = nearest


def projected(rows: Tensor, dimensions: int, generator: torch.Generator) -> Tensor:
    """Return rows under a Gaussian random projection, which roughly keeps their distances."""
    matrix = torch.randn(rows.shape[1], dimensions, generator=generator) / math.sqrt(dimensions)
    result: Tensor = torch.mm(rows, matrix.to(rows.device))
    return result


def _margin(dimensions: int) -> float:
    """Return by what share of |x|^2 + |c|^2 a product may differ from the square of a measured distance.

    Each of the two sums of `dimensions` terms, and of the squares, is off by at most so many units.
    """
    inputs = {"highest": 0.0, "high": 2.0**-9, "medium": 2.0**-6}[torch.get_float32_matmul_precision()]
    return 4.0 * (dimensions + 8) * UNIT + inputs


def _squares(rows: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms.square()


def _spans(count: int, most: int) -> list[slice]:
    return [slice(first, min(first + most, count)) for first in range(0, count, most)]
