"""How models stand on each category: their measures, and what their thresholds miss and call anomalous."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.scores import IMAGE_AUROC, Score
from ad_platform.benchmarks.viewing import BenchmarkView, CategoryView, CellView
from ad_platform.job_report.rates import Counted
from ad_platform.specs import Json


@dataclass(frozen=True)
class Standing:
    """One model on one category, over its seeds."""

    model: str
    category: CategoryView
    cells: tuple[CellView, ...]
    score: Score  # image AUROC

    @property
    def worst(self) -> CellView | None:
        """Return the cell of the seed that did worst; None where none has a result."""
        done = [cell for cell in self.cells if cell.done and IMAGE_AUROC in cell.metrics]
        return min(done, key=lambda cell: (cell.metrics[IMAGE_AUROC], cell.seed), default=None)

    @property
    def false_alarms(self) -> Counted | None:
        """Return the good test images called anomalous, of the worst seed."""
        return _counted(self.worst, "false_alarms")

    @property
    def missed(self) -> Counted | None:
        """Return the defective ones that passed, of the worst seed."""
        found = _counted(self.worst, "found")
        return None if found is None else Counted(found.of - found.count, found.of)


def standings(view: BenchmarkView) -> list[Standing]:
    """Return every model on every category, the worst first and those without a result last."""
    found = []
    for model in view.models:
        for category in view.categories:
            cells = tuple(view.cell(model.label, category.label, seed) for seed in view.seeds)
            score = scores.of_cells(cells, IMAGE_AUROC)
            found.append(Standing(model.label, category, cells, score))
    return sorted(found, key=lambda each: (each.score.mean is None, each.score.mean or 0.0))


def worst_of(found: Sequence[Standing], model: str) -> Standing | None:
    """Return the category on which a model did worst; None where it has no result, or but one category."""
    own = [each for each in found if each.model == model and each.score.mean is not None]
    return own[0] if len(own) > 1 else None


def _counted(cell: CellView | None, name: str) -> Counted | None:
    """Read what the threshold of an evaluation was seen to do; None where it has none, or does not say."""
    observed = cell.evaluation.result.get("observed") if cell is not None and cell.evaluation else None
    told: Json = observed.get(name) if isinstance(observed, dict) else None
    if not isinstance(told, dict):
        return None
    count, images = told.get("count"), told.get("images")
    return Counted(count, images) if isinstance(count, int) and isinstance(images, int) and images else None
