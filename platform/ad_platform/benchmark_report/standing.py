"""How models stand on each category: their measures, and what their thresholds miss and call anomalous."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.scores import IMAGE_AUROC, Score
from ad_platform.benchmarks.viewing import BenchmarkView, CategoryView, CellView
from ad_platform.job_report.decisions import decide
from ad_platform.job_report.rates import Counted
from ad_platform.job_report.results import Results
from ad_platform.job_report.subject import operating_point
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


@dataclass(frozen=True)
class Mistakes:
    """What the threshold of an evaluation did to its test images; None where it has none, or does not say."""

    missed: Counted | None = None
    false_alarms: Counted | None = None


def mistakes(standing: Standing, results: Mapping[str, Results]) -> Mistakes:
    """Return those of the worst seed, out of its record or out of its scores, where these are at hand."""
    evaluation = standing.worst.evaluation if standing.worst is not None else None
    if evaluation is None:
        return Mistakes()
    observed = evaluation.result.get("observed")
    if isinstance(observed, dict):
        found = _counted(observed.get("found"))
        missed = None if found is None else Counted(found.of - found.count, found.of)
        return Mistakes(missed, _counted(observed.get("false_alarms")))
    point, own = operating_point(evaluation), results.get(evaluation.id)
    if point is None or own is None:
        return Mistakes()
    decided = decide(own, point.threshold)
    counts = [each if each.of else None for each in (decided.misses, decided.false_alarms)]
    return Mistakes(*counts)


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


def _counted(told: Json) -> Counted | None:
    """Read so many of so many images."""
    if not isinstance(told, dict):
        return None
    count, images = told.get("count"), told.get("images")
    return Counted(count, images) if isinstance(count, int) and isinstance(images, int) and images else None
