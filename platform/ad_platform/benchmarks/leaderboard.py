"""A board as tables of text: each model's mean and deviation per category beside what was published."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import GROUPS, Board
from ad_platform.benchmarks.comparisons import FEWEST, Across, Comparison
from ad_platform.benchmarks.published import PublishedMethod, title_of
from ad_platform.benchmarks.scores import TITLES, Score
from ad_platform.benchmarks.viewing import CategoryView
from ad_platform.states import JobState

NOTHING = "-"
ON_TEST = "*"  # behind a number whose settings test images have chosen
PUBLISHED = " (published)"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table: a category, a group of them, or all."""

    name: str
    cells: tuple[str, ...]
    mean: bool = False  # over several categories


@dataclass(frozen=True, kw_only=True)
class Table:
    """One measure of a board, in percent: models, then published methods, as columns."""

    metric: str
    title: str
    headers: tuple[str, ...]  # without that of the categories
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One test between two models."""

    measure: str
    first: str
    second: str
    where: str
    difference: str  # in points of a percent, with its interval
    p: str
    corrected: str
    verdict: str
    basis: str  # of how many images or categories


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All there is to print of a board."""

    title: str
    tables: tuple[Table, ...]
    tests: tuple[ComparedRow, ...]
    notes: tuple[str, ...]  # what marks mean, what is missing, what was compared how, whose numbers


def leaderboard(board: Board, metrics: Sequence[str]) -> Leaderboard:
    """Return the tables of these measures, the tests between models, and what is to be said with them."""
    return Leaderboard(
        title=f"{title_of(board.dataset)}: {', '.join(board.benchmarks)}",
        tables=tuple(_table(board, metric) for metric in metrics),
        tests=tuple(_tests(board, metrics)),
        notes=tuple(_notes(board, metrics)),
    )


def groups(board: Board) -> list[tuple[str, tuple[CategoryView, ...]]]:
    """Return the groups that have a mean of their own: textures and objects where there are both, and all."""
    kinds = [(name, board.group(kind)) for kind, name in GROUPS.items()]
    found = [(name, members) for name, members in kinds if members]
    several = found if len(found) > 1 else []
    return [*several, ("average", board.categories)]


def percent(score: Score) -> str:
    """Return a score as text: "98.7 ± 0.4", a mark where test images chose, "(2/3)" where some miss."""
    count = "" if score.whole else f" ({score.cells}/{score.of})"
    if not score.of:
        return NOTHING
    if score.mean is None:
        return f"{'failed' if score.failed == score.of else NOTHING}{count}"
    deviation = "" if score.deviation is None else f" ± {100 * score.deviation:.1f}"
    return f"{100 * score.mean:.1f}{deviation}{ON_TEST if score.on_test else ''}{count}"


def published_mean(
    method: PublishedMethod, categories: Sequence[CategoryView], metric: str
) -> tuple[float | None, int]:
    """Return the mean of what was published on categories, and of how many of them there is a number."""
    found = [method.of(one.data.category, metric) for one in categories]
    values = [value for value in found if value is not None]
    return (sum(values) / len(values) if values else None), len(values)


def _table(board: Board, metric: str) -> Table:
    rows = []
    for category in board.categories:
        own = [scores.of_cells(board.of(model, category.label), metric) for model in board.models]
        theirs = [_published(method, [category], metric) for method in board.published]
        rows.append(Row(name=category.label, cells=(*map(percent, own), *theirs)))
    for name, members in groups(board):
        own = [_average(board, model, members, metric) for model in board.models]
        theirs = [_published(method, members, metric) for method in board.published]
        title = name if len(members) > 1 or name != "average" else ""
        if title:
            rows.append(Row(name=f"{name} ({len(members)})", cells=(*map(percent, own), *theirs), mean=True))
    methods = [f"{one.method}{PUBLISHED}" for one in board.published]
    return Table(metric=metric, title=TITLES[metric], headers=(*board.models, *methods), rows=tuple(rows))


def _average(board: Board, model: str, members: Sequence[CategoryView], metric: str) -> Score:
    """Return a model's mean over those of the categories that it was asked for on."""
    asked = [cells for one in members if (cells := board.of(model, one.label))]
    return scores.average(asked, metric)


def _published(method: PublishedMethod, categories: Sequence[CategoryView], metric: str) -> str:
    value, count = published_mean(method, categories, metric)
    if value is None:
        return NOTHING
    missing = "" if count == len(categories) else f" ({count}/{len(categories)})"
    return f"{100 * value:.1f}{ON_TEST if method.selected_on == 'test' else ''}{missing}"


def _tests(board: Board, metrics: Sequence[str]) -> Iterator[ComparedRow]:
    for metric in metrics:
        for one in board.comparisons:
            if one.metric == metric:
                yield _of_category(one)
        for over in board.across:
            if over.metric == metric:
                yield _of_categories(over)


def _of_category(one: Comparison) -> ComparedRow:
    interval = (
        "" if one.low is None or one.high is None else f" [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
    )
    return ComparedRow(
        measure=TITLES[one.metric],
        first=one.first,
        second=one.second,
        where=one.category,
        difference=one.trouble or f"{100 * (one.difference or 0.0):+.1f}{interval}",
        p=_p(one.p),
        corrected=_p(one.corrected),
        verdict=_verdict(one),
        basis=f"{one.images} images, {_counted(one.seeds, 'seed')}",
    )


def _of_categories(one: Across) -> ComparedRow:
    return ComparedRow(
        measure=TITLES[one.metric],
        first=one.first,
        second=one.second,
        where="all categories",
        difference=one.trouble if one.difference is None else f"{100 * one.difference:+.1f}",
        p=_p(one.p),
        corrected=_p(one.corrected),
        verdict="not tested" if one.p is None else _verdict(one),
        basis=f"{one.categories} categories, {one.differing} differ",
    )


def _verdict(one: Comparison | Across) -> str:
    if one.corrected is None:
        return "not tested"
    if not one.differs:
        return "no difference shown"
    return f"{one.first if (one.difference or 0.0) > 0 else one.second} is better"


def _p(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _notes(board: Board, metrics: Sequence[str]) -> Iterator[str]:
    cells = [cell for several in board.cells.values() for cell in several]
    seeds = sorted({len(several) for several in board.cells.values()})
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    yield f"percent; mean ± standard deviation over {each} seed{'' if seeds == [1] else 's'}"
    published_on_test = any(one.selected_on == "test" for one in board.published)
    if published_on_test or any(cell.selected_on == "test" for cell in cells):
        yield f"{ON_TEST} selected_on=test: test images have chosen its settings, so the number flatters"
    if missing := [cell for cell in cells if not cell.done]:
        states = {state: sum(cell.state is state for cell in missing) for state in JobState}
        told = ", ".join(f"{count} {state}" for state, count in states.items() if count)
        yield f"{len(missing)} of {len(cells)} cells have no result ({told}); (n/m): of m a number has n"
    if taken := sum(cell.taken for cell in cells):
        yield f"{taken} of {len(cells)} results were known before and taken over"
    for method in board.published:
        yield f"{method.method}{PUBLISHED}: {method.source}, {method.url}"
        if "aupro_30" in metrics:
            yield f"{method.method} has its PRO by {method.aupro}; AUPRO here is exact: other numbers"
    yield from _about_tests(board)


def _about_tests(board: Board) -> Iterator[str]:
    counts = sorted({one.tests for one in board.comparisons if one.tests})
    if counts:
        number = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        yield (
            "on a category: paired bootstrap over its test images, 1000 draws, two-sided, of the seeds' "
            f"means; p corrected by Holm for {number} tests of a measure"
        )
    if any(one.p is not None for one in board.across):
        yield "over categories: exact Wilcoxon signed-rank test of the categories' means, two-sided, Holm"
    elif board.across:
        most = max(one.differing for one in board.across)
        yield f"over categories: not tested, since {most} differ and at least {FEWEST} must"
    if len(board.split) > 1:
        yield (
            f"models of different benchmarks ({', '.join(board.split)}) are not tested against each other; a "
            "benchmark that has both takes over what is known"
        )
