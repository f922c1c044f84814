"""A leaderboard as CSV, Markdown or LaTeX: to compute with, to read, to print."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import Board
from ad_platform.benchmarks.leaderboard import (
    COMPARED_HEADERS,
    NOTHING,
    Leaderboard,
    Table,
    leaderboard,
    published_mean,
)
from ad_platform.benchmarks.scores import Score

CSV_COLUMNS = (
    "dataset",
    "category",
    "category_type",
    "metric",
    "model",
    "published",
    "mean",
    "deviation",
    "cells",
    "of",
    "selected_on",
)
_SPECIAL = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}

Format = Callable[[Sequence[Board], Sequence[str]], str]


def as_csv(boards: Sequence[Board], metrics: Sequence[str]) -> str:
    """Return every number, as shares of 1 and in full, a line each; those of categories, not their means."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    for board in boards:
        for metric in metrics:
            table.writerows(_csv_rows(board, metric))
    return text.getvalue()


def as_markdown(boards: Sequence[Board], metrics: Sequence[str]) -> str:
    """Return tables that GitHub and MLflow show."""
    return "\n\n".join(_markdown(leaderboard(board, metrics)) for board in boards) + "\n"


def as_latex(boards: Sequence[Board], metrics: Sequence[str]) -> str:
    """Return tables for a paper; they need the package booktabs."""
    parts = [
        _latex(found, table)
        for found in (leaderboard(board, metrics) for board in boards)
        for table in found.tables
    ]
    return "\n\n".join(parts) + "\n"


FORMATS: Mapping[str, Format] = {"csv": as_csv, "md": as_markdown, "latex": as_latex}


def _csv_rows(board: Board, metric: str) -> Iterator[list[str]]:
    for category in board.categories:
        start = [board.dataset, category.data.category, category.kind or "all", metric]
        for model in board.models:
            if cells := board.of(model, category.label):
                yield [*start, model, "no", *_csv_score(scores.of_cells(cells, metric))]
        for method in board.published:
            value, _ = published_mean(method, [category], metric)
            if value is not None:
                yield [*start, method.method, "yes", repr(value), "n/a", "n/a", "n/a", method.selected_on]


def _csv_score(score: Score) -> list[str]:
    numbers = ["n/a" if value is None else repr(value) for value in (score.mean, score.deviation)]
    return [*numbers, str(score.cells), str(score.of), "test" if score.on_test else "none"]


def _markdown(found: Leaderboard) -> str:
    parts = [f"## {_plain(found.title)}"]
    for table in found.tables:
        rows = [(f"**{row.name}**" if row.mean else row.name, *row.cells) for row in table.rows]
        parts += [f"### {table.title}", _grid(("category", *table.headers), rows)]
    headers = tuple(name.lower() for name in COMPARED_HEADERS)
    for two in found.tests:
        parts += [f"### {two.title}", _grid(headers, two.rows)]
    parts.append("\n".join(f"- {_plain(note)}" for note in found.notes))
    return "\n\n".join(parts)


def _grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: a number's mark is no emphasis."""
    bold = text.startswith("**") and text.endswith("**") and len(text) > 4
    inner = text[2:-2] if bold else text
    inner = inner.replace("|", "\\|").replace("*", "\\*")
    return f"**{inner}**" if bold else inner


def _latex(found: Leaderboard, table: Table) -> str:
    columns = "l" + "r" * len(table.headers)
    caption = f"{table.title} on {found.title}. {'. '.join(found.notes)}."
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row(("Category", *table.headers)),
        r"\midrule",
    ]
    mean = False
    for row in table.rows:
        if row.mean and not mean:
            lines.append(r"\midrule")
        mean = row.mean
        cells = [cell if cell != NOTHING else "--" for cell in row.cells]
        lines.append(_latex_row((row.name, *cells)))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell) if cell != "--" else cell for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in text)
