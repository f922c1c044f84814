"""results.csv of a benchmark: a line for each model, category and seed, whether it has a result or not."""

import csv
import io
from collections.abc import Iterator

from ad_platform.benchmarks.viewing import BenchmarkView, CellView

NAME = "results.csv"
NOTHING = "n/a"  # as in the tables of single evaluations
# What stands first has the names that tables of this kind have elsewhere; `pro` is AUPRO up to 0.3.
MEASURES = {
    "img_auc": "image_auroc",
    "pixel_auc": "pixel_auroc",
    "pro": "aupro_30",
    "image_ap": "image_ap",
    "image_f1_max": "image_f1_max",
    "pixel_ap": "pixel_ap",
    "pixel_f1_max": "pixel_f1_max",
    "aupro_05": "aupro_05",
}
BOUNDED = ("img_auc", "pixel_auc", "pro", "aupro_05")  # that have an interval
FACTS = (
    "dataset",
    "model",
    "detector",
    "preset",
    "seed",
    "state",
    "selected_on",
    "taken_over",
    "images",
    "ms_per_image",
    "fit_seconds",
    "train_job",
    "evaluate_job",
    "error",
)
COLUMNS = (
    "category",
    "category_type",
    *MEASURES,
    *(f"{name}_{end}" for name in BOUNDED for end in ("low", "high")),
    *FACTS,
)


def results_csv(view: BenchmarkView) -> str:
    """Return the table as CSV, lines ended by a line feed; docs/benchmarks.md says what each column holds."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_rows(view))
    return text.getvalue()


def _rows(view: BenchmarkView) -> Iterator[list[str]]:
    models = {one.label: one for one in view.models}
    categories = {one.label: one for one in view.categories}
    for cell in view.cells:
        model, category = models[cell.model], categories[cell.category]
        bounds = [cell.intervals.get(MEASURES[name]) if cell.done else None for name in BOUNDED]
        yield [
            category.data.category,
            category.kind or "all",
            *(_number(cell.metrics.get(metric)) for metric in MEASURES.values()),
            *(_number(end) for pair in bounds for end in (pair or (None, None))),
            category.data.dataset,
            model.label,
            model.detector,
            model.preset,
            str(cell.seed),
            cell.state.value,
            cell.selected_on,
            "yes" if cell.taken else "no",
            *_computed(cell),
        ]


def _computed(cell: CellView) -> list[str]:
    training, evaluation = cell.training, cell.evaluation
    measured = evaluation.result if evaluation is not None and cell.done else {}
    fitted = training.result if training is not None else {}
    return [
        _number(measured.get("images")),
        _number(measured.get("ms_per_image")),
        _number(fitted.get("fit_seconds")),
        training.id if training is not None else NOTHING,
        evaluation.id if evaluation is not None else NOTHING,
        cell.error,
    ]


def _number(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else NOTHING
