"""The tables of a benchmark's page: measures beside the published ones, tests, cells, and its origin."""

from collections.abc import Iterator, Sequence
from html import escape

from ad_platform.benchmarks.board import Board
from ad_platform.benchmarks.comparisons import METRICS
from ad_platform.benchmarks.leaderboard import COMPARED_HEADERS, Leaderboard, Table, leaderboard
from ad_platform.benchmarks.published import title_of
from ad_platform.benchmarks.scores import IMAGE_AUROC
from ad_platform.benchmarks.viewing import BenchmarkView, CellView
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part
from ad_platform.states import JobState

SHORT = 8


def measures(boards: Sequence[Board]) -> list[Part]:
    """Show each measure, model beside model and beside what was published, category by category."""
    found = []
    for board in boards:
        told = leaderboard(board, METRICS)
        place = f": {title_of(board.dataset)}" if len(boards) > 1 else ""
        tables = "".join(f"<h3>{escape(table.title)}</h3>{_table(table)}" for table in told.tables)
        notes = "".join(f"<li>{escape(note)}</li>" for note in told.notes)
        found.append(
            Part(
                title=f"Beside the published tables{place}",
                link=f"Tables{place}",
                html=f'{tables}<ul class="notes">{notes}</ul>',
            )
        )
        if told.tests:
            found.append(_tests(told, place))
    return found


def _table(table: Table) -> str:
    headers = ("category", *table.headers)
    head = "".join(
        f'<th scope="col"{" class=number" if place else ""}>{escape(name)}</th>'
        for place, name in enumerate(headers)
    )
    rows = "".join(
        f'<tr{" class=mean" if row.mean else ""}><th scope="row">{escape(row.name)}</th>'
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in row.cells)
        + "</tr>\n"
        for row in table.rows
    )
    return frame.scrolling(
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>", f"Table of {table.title}"
    )


def _tests(told: Leaderboard, place: str) -> Part:
    words = (
        "Of every two models the first minus the second, in points of a percent with 95 % intervals; p "
        "values are two-sided and corrected for how many tests there are (Holm). The notes above say by "
        "which test, the last column what each rests on."
    )
    headers = tuple(name.lower() for name in COMPARED_HEADERS)
    each = "".join(
        f"<h3>{escape(two.title)}</h3>\n{frame.table(headers, two.rows, label=f'Tests: {two.title}')}"
        for two in told.tests
    )
    return Part(
        title=f"Which differences are real{place}", link=f"Tests{place}", html=f"<p>{words}</p>{each}"
    )


def cells(view: BenchmarkView) -> Part:
    """Name every cell: what failed or is missing first, then the rest, each with the command of its page."""
    bad = [cell for cell in view.cells if not cell.done]
    html = ""
    if bad:
        rows = [
            (cell.model, cell.category, str(cell.seed), cell.state.value, cell.error or "-", _why(cell))
            for cell in bad
        ]
        headers = ("model", "category", "seed", "state", "error", "see")
        html += f"<h3>Without a result: {len(bad)}</h3>\n"
        html += frame.table(headers, rows, label="Cells without a result", command=True)
        if view.failed:
            again = f"adctl retry {view.benchmark.name}"
            html += f"<p>Run what failed again, and only that: <code>{escape(again)}</code></p>"
    done = [cell for cell in view.cells if cell.done]
    if done:
        table = frame.table(
            ("model", "category", "seed", "image AUROC", "95 %", "computed", "its page"),
            [_done(cell) for cell in done],
            label="Cells with a result",
            command=True,
        )
        html += frame.folded(f"All {len(done)} results, and the page of each", table)
    return Part(title="Cells", html=html)


def _why(cell: CellView) -> str:
    job = next(
        (
            job
            for job in (cell.training, cell.evaluation)
            if job is not None and job.state is not JobState.SUCCEEDED
        ),
        None,
    )
    return f"adctl why {job.id[:SHORT]}" if job is not None else ""


def _done(cell: CellView) -> tuple[str, ...]:
    value, ends = cell.metrics.get(IMAGE_AUROC), cell.intervals.get(IMAGE_AUROC)
    return (
        cell.model,
        cell.category,
        str(cell.seed),
        "n/a" if value is None else notation.score(value),
        f"{notation.score(ends[0])} to {notation.score(ends[1])}" if ends else "",
        "known before" if cell.taken else "scored; the fit was known" if cell.found else "fitted and scored",
        f"adctl report {cell.evaluation.id[:SHORT]}" if cell.evaluation is not None else "",
    )


def lineage(view: BenchmarkView) -> Part:
    """Say what the benchmark was asked to compare, on what images, by whose code."""
    models = [
        (model.label, " ".join((f"{model.detector}, preset {model.preset or 'none'}", *model.settings)))
        for model in view.models
    ]
    categories = frame.table(
        ("category", "kind", "fingerprint"),
        [(each.label, each.kind or "-", each.data.fingerprint) for each in view.categories],
        label="Categories",
    )
    html = f"<h3>Models</h3>\n{frame.pairs(models)}<h3>Categories</h3>\n{categories}"
    html += f"<h3>How it was asked for</h3>\n{frame.pairs(_facts(view))}"
    return Part(title="Lineage", html=html)


def _facts(view: BenchmarkView) -> Iterator[tuple[str, str]]:
    benchmark, spec = view.benchmark, view.spec
    yield "Seeds", ", ".join(map(str, view.seeds))
    holdouts = sorted({cell.training.spec.holdout for cell in view.cells if cell.training is not None})
    yield "Held out", ", ".join(f"{each} percent" if each != "none" else each for each in holdouts) or "-"
    chosen = sorted({cell.selected_on for cell in view.cells})
    yield "Settings selected on", ", ".join(chosen)
    by = f" by {benchmark.user}" if benchmark.user else ""
    yield "Submitted", f"{notation.moment(benchmark.created_at)} UTC{by}"
    if benchmark.finished_at is not None:
        took = notation.duration(max(0.0, benchmark.finished_at - benchmark.created_at))
        yield "Put together", f"{notation.moment(benchmark.finished_at)} UTC, after {took}"
    yield (
        "Code",
        ", ".join(f"{name} {value[:12]}" for name, value in sorted(spec.code.items())) or "not recorded",
    )
