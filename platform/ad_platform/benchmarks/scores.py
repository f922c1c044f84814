"""Mean and standard deviation over seeds, of a category and over categories; what is missing is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ad_platform.benchmarks.viewing import CellView

IMAGE_AUROC, PIXEL_AUROC, AUPRO = "image_auroc", "pixel_auroc", "aupro_30"
TITLES = {IMAGE_AUROC: "image AUROC", PIXEL_AUROC: "pixel AUROC", AUPRO: "AUPRO 0.3"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number with how sure it is, and of how many of the cells that were asked for."""

    mean: float | None  # None where no cell has a result
    deviation: float | None  # between seeds (n - 1); None of fewer than two
    cells: int  # that it is made of
    of: int  # that were asked for
    failed: int = 0  # of those that are missing, how many have ended without a result
    on_test: bool = False  # test images chose the settings of some: it flatters

    @property
    def whole(self) -> bool:
        """Whether no cell is missing."""
        return self.cells == self.of


def of_cells(cells: Sequence[CellView], metric: str) -> Score:
    """Return a model's score on one category, over its seeds."""
    values = _values(cells, metric)
    return Score(
        mean=fmean(values) if values else None,
        deviation=stdev(values) if len(values) > 1 else None,
        cells=len(values),
        of=len(cells),
        failed=sum(cell.bad for cell in cells),
        on_test=any(cell.selected_on == "test" for cell in cells),
    )


def average(categories: Sequence[Sequence[CellView]], metric: str) -> Score:
    """Return a model's mean over categories, each weighing the same.

    The deviation is that of the seeds' own averages, over the seeds that have a result on every category. A
    category without any result is left out of the mean, and the number of cells says so.
    """
    every = [cell for cells in categories for cell in cells]
    measured = [values for cells in categories if (values := _values(cells, metric))]
    by_seed = [_average_of(categories, seed, metric) for seed in dict.fromkeys(cell.seed for cell in every)]
    whole = [value for value in by_seed if value is not None]
    return Score(
        mean=fmean(map(fmean, measured)) if measured else None,
        deviation=stdev(whole) if len(whole) > 1 else None,
        cells=sum(map(len, measured)),
        of=len(every),
        failed=sum(cell.bad for cell in every),
        on_test=any(cell.selected_on == "test" for cell in every),
    )


def _average_of(categories: Sequence[Sequence[CellView]], seed: int, metric: str) -> float | None:
    """Return one seed's mean over categories; None unless it has a result on each."""
    values = [_values([cell for cell in cells if cell.seed == seed], metric) for cells in categories]
    return fmean(value[0] for value in values) if all(values) else None


def _values(cells: Sequence[CellView], metric: str) -> list[float]:
    return [cell.metrics[metric] for cell in cells if cell.done and metric in cell.metrics]
