"""How `adctl benchmark list` and `show` lay out benchmarks, and what they point to next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ad_cli import out, shapes
from ad_cli.benchmarks import words
from ad_cli.tables import Column
from ad_platform.benchmarks.comparisons import METRICS
from ad_platform.benchmarks.outlook import seconds_left
from ad_platform.benchmarks.results_table import results_csv

if TYPE_CHECKING:
    from pathlib import Path

    from ad_platform.benchmarks.viewing import BenchmarkView, CellView
    from ad_platform.client import Client

COLUMNS = (
    Column(name="NAME"),
    Column(name="STATE", width=10, colour=lambda state: words.COLOURS.get(state, "")),
    Column(name="CELLS", width=9),
    Column(name="FAILED", width=6),
    Column(name="ETA", width=6),
    Column(name="AGE", width=4),
    Column(name="WHAT", takes_rest=True),
)
CELL_COLUMNS = (
    Column(name="MODEL"),
    Column(name="CATEGORY"),
    Column(name="SEED", width=4),
    Column(name="STATE", width=9, colour=lambda state: words.COLOURS.get(state, "")),
    Column(name="AUROC", width=6),
    Column(name="PXAUROC", width=7),
    Column(name="AUPRO", width=6),
    Column(name="JOB", width=shapes.SHORT),
    Column(name="NOTE", takes_rest=True),
)


def cells(view: BenchmarkView, now: float | None = None) -> tuple[str, ...]:
    """Return the cells of a benchmark's row below COLUMNS."""
    at = time.time() if now is None else now
    left = seconds_left(view, at)
    return (
        view.benchmark.name,
        view.state,
        f"{view.done}/{len(view.cells)}",
        str(view.failed or "-"),
        "-" if left is None else shapes.span(left),
        shapes.coarse(at - view.benchmark.created_at),
        words.title(view),
    )


def show(client: Client, view: BenchmarkView) -> None:
    """Print all that is known of a benchmark, cell by cell."""
    left = seconds_left(view, client.now())
    if out.as_json():
        out.data(words.whole_json(view, left))
        return
    if out.quiet():
        out.text(f"{view.benchmark.name} {view.state}")
        return
    out.pairs(_facts(view, left), {"state": words.COLOURS.get(view.state, "")})
    out.text("")
    out.table(CELL_COLUMNS, [_cell(cell) for cell in view.cells])
    for line in next_steps(view):
        out.note(line)


def results(view: BenchmarkView, to: Path | None) -> None:
    """Print results.csv, or write it to a file."""
    text = results_csv(view)
    if out.as_json():
        out.data([words.cell_json(cell) for cell in view.cells])
    elif to is None:
        out.text(text.rstrip("\n"))
    if to is not None:
        file = to / "results.csv" if to.is_dir() else to
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if not out.as_json():
            out.text(str(file))
    if view.open or view.failed:
        out.note(f"{view.benchmark.name} has {words.sums(view)}: rows without a result hold n/a")


def next_steps(view: BenchmarkView) -> list[str]:
    """Return what a person may want to do next."""
    name = view.benchmark.name
    found = []
    if view.open:
        found += [f"watch it: adctl watch {name}", f"what keeps it: adctl why {name}"]
    if view.done:
        found.append(f"beside the published numbers: adctl leaderboard {name}")
    if view.failed and not view.open:
        found.append(f"run what failed again: adctl retry {name}")
    return found


def _facts(view: BenchmarkView, left: float | None) -> dict[str, str]:
    benchmark, scheduling = view.benchmark, view.spec.scheduling
    finished = benchmark.finished_at
    ended = ""
    if finished is not None:
        ended = f"{shapes.moment(finished)} after {shapes.span(finished - benchmark.created_at)}"
    facts = {
        "name": benchmark.name,
        "id": benchmark.id,
        "state": view.state,
        "models": "; ".join(
            " ".join((f"{one.label}", *(f"-S {each}" for each in one.settings))) for one in view.models
        ),
        "datasets": ", ".join(view.spec.datasets),
        "categories": ", ".join(one.label for one in view.categories),
        "seeds": ", ".join(map(str, view.seeds)),
        "cells": f"{len(view.cells)}: {words.sums(view)}",
        "ETA": "" if left is None else shapes.span(left),
        "queue": f"{scheduling.queue}, priority {scheduling.priority}",
        "tags": " ".join(f"{name}={value}" for name, value in scheduling.tags.items()),
        "key": benchmark.key or "",
        "user": benchmark.user,
        "submitted": shapes.moment(benchmark.created_at),
        "ended": ended,
    }
    return {name: value for name, value in facts.items() if value}


def _cell(cell: CellView) -> tuple[str, ...]:
    measured = [cell.metrics.get(metric) for metric in METRICS]
    shown = cell.evaluation if cell.training is None or cell.done else cell.training
    note = [words.how(cell), "selected_on=test" if cell.selected_on == "test" else "", cell.error]
    return (
        cell.model,
        cell.category,
        str(cell.seed),
        cell.state.value,
        *("-" if value is None else f"{value:.4f}" for value in measured),
        "-" if shown is None else shown.id[: shapes.SHORT],
        ", ".join(each for each in note if each),
    )
