"""What is said when a benchmark was ended, or what failed of it was run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.benchmarks import words
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.benchmarks.viewing import BenchmarkView
    from ad_platform.records import Benchmark


def retry(benchmarks: Benchmarks, benchmark: Benchmark) -> None:
    """Run the failed cells of a benchmark again and say how many; raise Conflict where none has failed."""
    again = benchmarks.retry(benchmark.id)
    if out.quiet():
        out.text(benchmark.name)
    elif not out.as_json():
        cells = "1 cell is" if len(again) == 1 else f"{len(again)} cells are"
        out.text(f"{benchmark.name}  {cells} computed again; what is done stays")
        out.note(f"watch it with: adctl watch {benchmark.name}")


def ended(view: BenchmarkView) -> str:
    """Return what is said of a benchmark that was cancelled."""
    if out.quiet():
        return view.benchmark.name
    running = view.count(JobState.RUNNING)
    told = f"; what runs was told to end: {running}" if running else ""
    return f"{view.benchmark.name}  benchmark {words.title(view)}: {words.sums(view)}{told}"
