"""Mean and standard deviation over seeds, of a category and over categories; what is missing is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ad_platform.benchmarks.viewing import BenchmarkView, CategoryView

IMAGE_AUROC, PIXEL_AUROC, AUPRO = "image_auroc", "pixel_auroc", "aupro_30"
METRICS = (IMAGE_AUROC, PIXEL_AUROC, AUPRO)
TITLES = {IMAGE_AUROC: "image AUROC", PIXEL_AUROC: "pixel AUROC", AUPRO: "AUPRO 0.3"}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number with how sure it is, and of how many of the cells that were asked for."""

    mean: float | None  # None where no cell has a result
    deviation: float | None  # between seeds (n - 1); None of fewer than two
    cells: int  # that it is made of
    of: int  # that were asked for
    on_test: bool = False  # test images chose the settings of some: it flatters

    @property
    def whole(self) -> bool:
        """Whether no cell is missing."""
        return self.cells == self.of


def of_category(view: BenchmarkView, model: str, category: str, metric: str) -> Score:
    """Return a model's score on a category, over its seeds."""
    values = view.results(model, category, metric)
    return Score(
        mean=fmean(values) if values else None,
        deviation=stdev(values) if len(values) > 1 else None,
        cells=len(values),
        of=len(view.seeds),
        on_test=_on_test(view, model, [category]),
    )


def average(view: BenchmarkView, model: str, categories: Sequence[CategoryView], metric: str) -> Score:
    """Return a model's mean over categories, each weighing the same.

    The deviation is that of the seeds' own averages, over the seeds that have a result on every category. A
    category without any result is left out of the mean, and the cells say so.
    """
    names = [category.label for category in categories]
    by_category = [values for name in names if (values := view.results(model, name, metric))]
    of_seeds = []
    for seed in view.seeds:
        cells = [view.cell(model, name, seed) for name in names]
        values = [cell.metrics[metric] for cell in cells if cell.done and metric in cell.metrics]
        if len(values) == len(names):
            of_seeds.append(fmean(values))
    return Score(
        mean=fmean(map(fmean, by_category)) if by_category else None,
        deviation=stdev(of_seeds) if len(of_seeds) > 1 else None,
        cells=sum(map(len, by_category)),
        of=len(view.seeds) * len(names),
        on_test=_on_test(view, model, names),
    )


def _on_test(view: BenchmarkView, model: str, categories: Sequence[str]) -> bool:
    return any(
        view.cell(model, category, seed).selected_on == "test"
        for category in categories
        for seed in view.seeds
    )
