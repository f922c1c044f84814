"""How benchmarks and their cells look as JSON, and in a few words."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli import shapes
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.benchmarks.viewing import BenchmarkView, CellView
    from ad_platform.specs import Json

COLOURS = {**shapes.COLOURS, "complete": "green", "incomplete": "red"}


def benchmark_json(view: BenchmarkView, seconds_left: float | None = None) -> dict[str, Json]:
    """Return a benchmark as JSON, without its cells."""
    benchmark = view.benchmark
    return {
        "kind": "benchmark",
        "id": benchmark.id,
        "name": benchmark.name,
        "key": benchmark.key,
        "state": view.state,
        "user": benchmark.user,
        "created_at": benchmark.created_at,
        "finished_at": benchmark.finished_at,
        "models": [one.label for one in view.models],
        "categories": [one.label for one in view.categories],
        "datasets": list(view.spec.datasets),
        "seeds": list(view.seeds),
        "cells": {
            "all": len(view.cells),
            "done": view.done,
            "known": view.known,
            "failed": view.failed,
            "open": view.open,
        },
        "seconds_left": seconds_left,
        "results": benchmark.summary.get("bundle"),
        "run_id": benchmark.run_id,
    }


def whole_json(view: BenchmarkView, seconds_left: float | None = None) -> dict[str, Json]:
    """Return a benchmark as JSON with all that is known of it."""
    return {
        **benchmark_json(view, seconds_left),
        "results_of_cells": [cell_json(cell) for cell in view.cells],
        "comparisons": [cast("Json", asdict(one)) for one in view.comparisons],
        "across": [cast("Json", asdict(one)) for one in view.across],
        "spec": view.spec.to_json(),
    }


def cell_json(cell: CellView) -> dict[str, Json]:
    """Return a cell as JSON."""
    return {
        "kind": "cell",
        "model": cell.model,
        "category": cell.category,
        "seed": cell.seed,
        "state": cell.state.value,
        "taken_over": cell.taken,
        "found_fitted": cell.found,
        "selected_on": cell.selected_on,
        "metrics": dict(cell.metrics),
        "intervals": {name: list(ends) for name, ends in cell.intervals.items()},
        "train_job": None if cell.training is None else cell.training.id,
        "evaluate_job": None if cell.evaluation is None else cell.evaluation.id,
        "error": cell.error,
    }


def sums(view: BenchmarkView) -> str:
    """Return how many cells stand how: "7 done (3 known before), 1 failed, 4 open"."""
    known = f" ({view.known} known before)" if view.known else ""
    counts = {f"done{known}": view.done, "failed": view.count(JobState.FAILED)}
    counts |= {"cancelled": view.count(JobState.CANCELLED), "open": view.open}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def title(view: BenchmarkView) -> str:
    """Return what a benchmark is about: "ddad, patchcore on mvtec, 15 categories, 5 seeds"."""
    models, seeds = ", ".join(one.label for one in view.models), len(view.seeds)
    categories = len(view.categories)
    where = view.categories[0].label if categories == 1 else f"{categories} categories"
    return f"{models} on {'+'.join(view.spec.datasets)}, {where}, {seeds} seed{'' if seeds == 1 else 's'}"


def cell_words(cell: CellView) -> str:
    """Return which cell it is: "ddad screw seed 3"."""
    return f"{cell.model} {cell.category} seed {cell.seed}"


def how(cell: CellView) -> str:
    """Say how a cell came to its result."""
    if cell.taken:
        return "known before"
    return "found fitted" if cell.found and cell.done else ""
