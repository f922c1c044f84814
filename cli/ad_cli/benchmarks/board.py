"""Looks leaderboards up, and prints or writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli import out
from ad_cli.tables import Column
from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import Board, boards
from ad_platform.benchmarks.formats import FORMATS
from ad_platform.benchmarks.leaderboard import COMPARED_HEADERS, Table, groups, leaderboard, published_mean
from ad_platform.errors import InvalidRequest
from ad_platform.naming import match

if TYPE_CHECKING:
    from pathlib import Path

    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.specs import Json

TABLE = "table"


def find(benchmarks: Benchmarks, names: Sequence[str], dataset: str | None) -> list[Board]:
    """Return the boards of benchmarks, of all where none is named; raise UnknownName, InvalidRequest."""
    chosen = [benchmarks.find(name) for name in dict.fromkeys(names)] if names else benchmarks.list()
    if not chosen:
        raise InvalidRequest("there is no benchmark yet; submit one with: adctl submit benchmark")
    views = [benchmarks.view(one) for one in {one.id: one for one in chosen}.values()]
    found = boards(views, dataset)
    if not found:
        known = {name for view in views for name in view.spec.datasets}
        match("dataset of a benchmark", str(dataset), known)
    return found


def write(found: Sequence[Board], metrics: Sequence[str], form: str, to: Path | None) -> None:
    """Print boards in a format, or write them to a file."""
    if out.as_json():
        out.data([_json(board, metrics) for board in found])
        return
    if to is None and form == TABLE:
        for number, board in enumerate(found):
            if number:
                out.text("")
            _print(board, metrics)
        return
    text = "\n".join(_lines(found, metrics)) + "\n" if form == TABLE else FORMATS[form](found, metrics)
    if to is None:
        out.text(text.rstrip("\n"))
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, encoding="utf-8")
    out.text(str(to))


def _print(board: Board, metrics: Sequence[str]) -> None:
    made = leaderboard(board, metrics)
    out.text(made.title)
    for table in made.tables:
        out.text("")
        out.table(_columns(table), [(row.name, *row.cells) for row in table.rows])
    for two in made.tests:
        out.text(f"\n{two.title}")
        out.table(_compared_columns(), two.rows)
    for note in made.notes:
        out.note(note)


def _columns(table: Table) -> list[Column]:
    return [Column(name=table.title.upper()), *(Column(name=header) for header in table.headers)]


def _compared_columns() -> list[Column]:
    return [Column(name=header) for header in COMPARED_HEADERS]


def _lines(found: Sequence[Board], metrics: Sequence[str]) -> Iterator[str]:
    from ad_cli.tables import layout

    for board in found:
        made = leaderboard(board, metrics)
        yield made.title
        for table in made.tables:
            yield ""
            yield from layout(_columns(table), [(row.name, *row.cells) for row in table.rows])
        for two in made.tests:
            yield f"\n{two.title}"
            yield from layout(_compared_columns(), two.rows)
        yield ""
        yield from made.notes


def _json(board: Board, metrics: Sequence[str]) -> Json:
    """Return a board as JSON: numbers as shares of 1."""
    rows: list[Json] = []
    for metric in metrics:
        for name, members in [*((one.label, (one,)) for one in board.categories), *groups(board)]:
            for model in board.models:
                cells = [found for one in members if (found := board.of(model, one.label))]
                score = scores.average(cells, metric) if len(members) > 1 else None
                score = scores.of_cells(cells[0] if cells else (), metric) if score is None else score
                rows.append({"metric": metric, "row": name, "model": model, **asdict(score)})
            for method in board.published:
                value, count = published_mean(method, members, metric)
                rows.append(
                    {
                        "metric": metric,
                        "row": name,
                        "published": method.method,
                        "mean": value,
                        "categories": count,
                        "of": len(members),
                        "on_test": method.selected_on == "test",
                        "source": method.source,
                    }
                )
    return {
        "dataset": board.dataset,
        "benchmarks": list(board.benchmarks),
        "models": list(board.models),
        "rows": rows,
        "comparisons": [cast("Json", asdict(one)) for one in board.comparisons if one.metric in metrics],
        "across": [cast("Json", asdict(one)) for one in board.across if one.metric in metrics],
        "notes": list(leaderboard(board, metrics).notes),
    }
