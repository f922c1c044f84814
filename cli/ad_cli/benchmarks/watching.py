"""Shows a benchmark until it ends: live bars below a header on a terminal, else one line per cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ad_cli import out, shapes
from ad_cli.benchmarks import showing, words
from ad_cli.exits import Exit
from ad_cli.tables import cut, painted
from ad_platform.benchmarks.outlook import seconds_left
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_cli.pace import Pace
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.benchmarks.viewing import BenchmarkView, CellView
    from ad_platform.client import Client
    from ad_platform.records import Benchmark, Job

LABEL = 24  # columns of what a job is called
ORDER = (JobState.RUNNING, JobState.QUEUED, JobState.WAITING)


@dataclass(frozen=True)
class Look:
    """A benchmark as it stood at one look; `trouble` says why this look shows the last known state."""

    view: BenchmarkView
    left: float | None = None
    trouble: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing can change any more, and the results are put together."""
        return not self.view.open and self.view.benchmark.finished_at is not None


def watch_benchmark(
    client: Client,
    benchmarks: Benchmarks,
    benchmark: Benchmark,
    clock: Callable[[], float] = time.monotonic,
) -> Exit:
    """Show a benchmark until it has ended, print its result and return the exit code that tells how."""
    last: Look | None = None
    try:
        for look in _shown(_looks(client, benchmarks, benchmark, clock), clock):
            last = look
    except KeyboardInterrupt:
        name = benchmark.name
        out.note(f"\nit goes on: look again with `adctl watch {name}`, end it with `adctl cancel {name}`")
        return Exit.INTERRUPTED
    assert last is not None
    if not out.as_json():
        show_end(last.view)
    return end_code(last.view)


def end_code(view: BenchmarkView) -> Exit:
    """Return the exit code that tells how a benchmark ended; a failure outweighs a cancel."""
    if view.count(JobState.FAILED):
        return Exit.JOB_FAILED
    return Exit.JOB_CANCELLED if view.count(JobState.CANCELLED) else Exit.OK


def show_end(view: BenchmarkView) -> None:
    """Print what became of a benchmark, and what to do with it."""
    if out.quiet():
        out.text(f"{view.benchmark.name} {view.state}")
        return
    state = out.in_colour(view.state, words.COLOURS.get(view.state, ""))
    out.text(f"{view.benchmark.name}  benchmark {words.title(view)}: {state}  {words.sums(view)}")
    for cell in view.cells:
        if cell.bad:
            out.text(f"  {words.cell_words(cell)}: {cell.state}  {cell.error}")
    for line in showing.next_steps(view):
        out.note(line)


PATIENCE = 20.0  # seconds that a worker is given to put the results together once all has ended


def _looks(
    client: Client, benchmarks: Benchmarks, benchmark: Benchmark, clock: Callable[[], float]
) -> Iterator[Look]:
    """Yield how a benchmark stands until it has ended; a store away is waited for."""

    def look() -> Look:
        view = benchmarks.view(benchmarks.find(benchmark.id))
        return Look(view, seconds_left(view, client.now()))

    last, ended = look(), None
    for seen, trouble in client.looks(look):
        last = replace(last, trouble=trouble) if seen is None else seen
        yield last
        if trouble or last.view.open:
            ended = None
            continue
        ended = clock() if ended is None else ended
        if last.over or clock() - ended >= PATIENCE:
            return


def _shown(looks: Iterator[Look], clock: Callable[[], float]) -> Iterator[Look]:
    if out.as_json():
        return _stream(looks)
    return _bars(looks, clock) if out.lively() and not out.quiet() else _lines(looks)


def _stream(looks: Iterator[Look]) -> Iterator[Look]:
    """Print a line of JSON for every change of the benchmark, and of a cell."""
    seen: dict[object, object] = {}
    for look in looks:
        values = [words.cell_json(cell) for cell in look.view.cells]
        for value in (*values, words.benchmark_json(look.view)):
            name = (value.get("model"), value.get("category"), value.get("seed"))
            if seen.get(name) != value:
                out.line(value)
                seen[name] = value
        yield look


def _lines(looks: Iterator[Look]) -> Iterator[Look]:
    """Print a line for each cell that has ended, and one where a service goes or comes back."""
    told: set[tuple[str, str, int]] = set()
    trouble = False
    for look in looks:
        if bool(look.trouble) != trouble:
            trouble = bool(look.trouble)
            out.note(f"waiting: {look.trouble}" if trouble else "all services answer again")
        ended = [cell for cell in look.view.cells if cell.done or cell.bad]
        for cell in ended:
            place = (cell.model, cell.category, cell.seed)
            if place not in told:
                told.add(place)
                out.note(_line(cell, len(told), len(look.view.cells)))
        yield look


def _line(cell: CellView, number: int, of: int) -> str:
    auroc = cell.metrics.get("image_auroc")
    result = cell.error if cell.bad else "-" if auroc is None else f"AUROC {auroc:.4f}"
    how = f"  {words.how(cell)}" if words.how(cell) else ""
    state = "" if cell.done else f"{cell.state}  "
    return f"{words.cell_words(cell)}: {state}{result}{how}  ({number} of {of})"


def _bars(looks: Iterator[Look], clock: Callable[[], float]) -> Iterator[Look]:
    from ad_cli.bars import Bars
    from ad_cli.pace import Pace

    pace = Pace(clock)
    with Bars() as bars:
        for look in looks:
            bars.show(screen(look, pace, *bars.size))
            yield look


def screen(look: Look, pace: Pace, width: int, height: int, *, coloured: bool = True) -> list[str]:
    """Return the lines of a benchmark, no wider and no more than fit the terminal."""
    from ad_cli.watch_view import Shown, lines

    view = look.view
    left = "" if look.left is None else f"  ETA {shapes.span(look.left)}"
    whole = f"{view.benchmark.name}  {view.done + view.failed} of {len(view.cells)} cells: {words.sums(view)}"
    if not view.open and view.benchmark.finished_at is None:
        left = "  comparing models"
    head = cut(f"{whole}{left}", max(1, width - 1))
    shown = [
        Shown(job=job, speed=pace.speed(job), label=f"{cell.model} {cell.category} {cell.seed}")
        for cell, job in _open_jobs(view)
    ]
    rest = lines(shown, look.trouble, width, max(4, height - 1), label=LABEL, coloured=coloured)
    return [painted(head, "bold") if coloured else head, *rest]


def _open_jobs(view: BenchmarkView) -> Sequence[tuple[CellView, Job]]:
    """Return what runs or may run next, with its cell; what runs first, as the rest may have no room."""
    found = [
        (cell, job)
        for cell in view.cells
        for job in (cell.training, cell.evaluation)
        if job is not None and job.state in (JobState.RUNNING, JobState.QUEUED)
    ]
    return sorted(found, key=lambda one: ORDER.index(one[1].state))
