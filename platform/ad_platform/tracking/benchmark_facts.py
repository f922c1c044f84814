"""What the tracking server is told of a benchmark: parameters, tags, numbers, and a description."""

from collections.abc import Iterator

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.benchmark_spec import BENCHMARK_TAG, BenchmarkSpec
from ad_platform.benchmarks.comparisons import METRICS
from ad_platform.benchmarks.leaderboard import percent
from ad_platform.benchmarks.scores import TITLES, Score
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.specs import Json
from ad_platform.storage.metrics import Point
from ad_platform.tracking import facts
from ad_platform.tracking.notes import NOTE_TAG

AVERAGE = "average"


def params(spec: BenchmarkSpec) -> dict[str, str]:
    """Return what is compared on what."""
    found = {
        "benchmark.datasets": ", ".join(spec.datasets),
        "benchmark.categories": ", ".join(place.label for place in spec.categories),
        "benchmark.seeds": ", ".join(map(str, spec.seeds)),
        "benchmark.models": ", ".join(model.label for model in spec.models),
    }
    for model in spec.models:
        settings = " ".join((f"{model.detector}:{model.preset}", *model.settings))
        found[f"model.{model.label}"] = settings
    return found


def tags(view: BenchmarkView) -> dict[str, str]:
    """Return everything about a benchmark that one might search for."""
    benchmark, spec = view.benchmark, view.spec
    found: dict[str, Json] = {
        facts.BENCHMARK_ID_TAG: benchmark.id,
        NOTE_TAG: note(view),
        BENCHMARK_TAG: benchmark.name,
        "adctl.kind": "benchmark",
        "adctl.state": view.state,
        "adctl.cells": len(view.cells),
        "adctl.done": view.done,
        "adctl.known": view.known,
        "adctl.failed": view.failed,
        "adctl.open": view.open,
        "adctl.selected_on": "test" if any(cell.selected_on == "test" for cell in view.cells) else "none",
        "mlflow.user": benchmark.user,
        "mlflow.source.git.commit": spec.code.get("commit"),
        "mlflow.source.name": "adctl",
        **{f"adctl.code.{name}": value for name, value in spec.code.items()},
    }
    return {name: facts.text(value) for name, value in found.items() if value not in (None, "")}


def points(view: BenchmarkView) -> list[Point]:
    """Return one point for each cell that has a result, its seed as the step; and the averages at the end.

    A result never changes, so no later one changes a point that was sent. The step of an average is the
    version of the benchmark: after a retry there is another one.
    """
    found = []
    for cell in view.cells:
        ended = cell.evaluation.finished_at if cell.evaluation is not None else None
        if cell.done and ended is not None:
            measured = {
                f"{cell.model}/{cell.category}/{metric}": cell.metrics[metric]
                for metric in METRICS
                if metric in cell.metrics
            }
            found.append(Point(step=cell.seed, time=ended, metrics=measured))
    finished = view.benchmark.finished_at
    averages = {f"{model}/{AVERAGE}/{metric}": score.mean for model, metric, score in _averages(view)}
    whole = {name: mean for name, mean in averages.items() if mean is not None}
    if finished is not None and whole:
        found.append(Point(step=view.benchmark.version, time=finished, metrics=whole))
    return [point for point in found if point.metrics]


def note(view: BenchmarkView) -> str:
    """Return the description of a benchmark's run, in Markdown."""
    models = ", ".join(f"**{model.label}**" for model in view.models)
    seeds = f"{len(view.seeds)} seed{'' if len(view.seeds) == 1 else 's'}"
    where = f"{len(view.categories)} categories of {', '.join(view.spec.datasets)}"
    lines = [f"Compares {models} on {where}, {seeds}.", f"{sums(view)}."]
    for metric in METRICS:
        told = [f"{model} **{percent(score)}**" for model, name, score in _averages(view) if name == metric]
        lines.append(f"Average {TITLES[metric]} in percent: {', '.join(told)}.")
    lines.append(
        "To look at: `report.html`, `leaderboard.md`; to compute with: `results.csv`, `leaderboard.csv`."
    )
    return "\n\n".join(lines)


def sums(view: BenchmarkView) -> str:
    """Return how many cells stand how."""
    counts = {"done": view.done, "failed": view.failed, "open": view.open}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    known = f" ({view.known} known before)" if view.known else ""
    return f"{len(view.cells)} cells: {told}{known}"


def _averages(view: BenchmarkView) -> Iterator[tuple[str, str, Score]]:
    for model in view.models:
        cells = [
            [view.cell(model.label, category.label, seed) for seed in view.seeds]
            for category in view.categories
        ]
        for metric in METRICS:
            yield model.label, metric, scores.average(cells, metric)
