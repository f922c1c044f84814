"""A board as tables of text: each model's mean and deviation per category beside what was published."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import GROUPS, Board
from ad_platform.benchmarks.comparisons import ALPHA, FEWEST, Across, Comparison
from ad_platform.benchmarks.published import PublishedMethod, title_of
from ad_platform.benchmarks.scores import TITLES, Score
from ad_platform.benchmarks.viewing import CategoryView
from ad_platform.states import JobState

NOTHING = "-"
COMPARED_HEADERS = ("MEASURE", "WHERE", "DIFFERENCE", "P", "HOLM", "BETTER", "OF")
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
class Compared:
    """The tests between two models."""

    first: str
    second: str
    rows: tuple[tuple[str, ...], ...]  # below COMPARED_HEADERS

    @property
    def title(self) -> str:
        """Return whose number is taken from whose."""
        return f"{self.first} minus {self.second}"


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All there is to print of a board."""

    title: str
    tables: tuple[Table, ...]
    tests: tuple[Compared, ...]  # of every two models
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


def _tests(board: Board, metrics: Sequence[str]) -> Iterator[Compared]:
    over = [one for one in board.across if one.categories > 1]
    every: list[Comparison | Across] = [*board.comparisons, *over]
    for first, second in dict.fromkeys((one.first, one.second) for one in every):
        own = [one for one in every if (one.first, one.second) == (first, second)]
        rows = [_compared(one) for metric in metrics for one in own if one.metric == metric]
        yield Compared(first=first, second=second, rows=tuple(rows))


def _compared(one: Comparison | Across) -> tuple[str, ...]:
    if isinstance(one, Comparison):
        where, basis = one.category, f"{one.images} images" if one.images else NOTHING
    else:
        where, basis = "over categories", f"{one.differing} of {one.categories} differ"
    told = [TITLES[one.metric], where, _difference(one), _p(one.p), _p(one.corrected), _better(one)]
    return (*told, basis if one.difference is not None else one.trouble)


def _difference(one: Comparison | Across) -> str:
    if one.difference is None:
        return NOTHING
    told = f"{100 * one.difference:+.1f}"
    if isinstance(one, Across) or one.low is None or one.high is None:
        return told
    return f"{told} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def _better(one: Comparison | Across) -> str:
    """Name the model that is better; a dash where that is not shown, or nothing was tested."""
    if not one.differs or one.difference is None:
        return NOTHING if one.corrected is not None else "not tested"
    return one.first if one.difference > 0 else one.second


def _p(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}" if value >= 0.001 else "<0.001"


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
            f"means; p corrected by Holm for {number} tests of a measure; better where that is below {ALPHA}"
        )
    over = [one for one in board.across if one.categories > 1]
    if any(one.p is not None for one in over):
        yield "over categories: exact Wilcoxon signed-rank test of the categories' means, two-sided, Holm"
    elif over:
        most = max(one.differing for one in over)
        yield f"over categories: not tested, since {most} differ and at least {FEWEST} must"
    if len(board.split) > 1:
        yield (
            f"models of different benchmarks ({', '.join(board.split)}) are not tested against each other; a "
            "benchmark that has both takes over what is known"
        )
