"""`adctl benchmark`: look at benchmarks, and take their results."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options

app = typer.Typer(no_args_is_help=True, help="Models beside each other: look at benchmarks.")


@app.command("list")
def list_benchmarks(
    limit: Annotated[
        int, typer.Option("--limit", "-n", callback=options.within(1, 100_000), help="How many at most.")
    ] = 20,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List benchmarks, newest first, with how far they are."""
    from ad_cli.benchmarks import showing, words

    with session.client() as client:
        benchmarks = session.benchmarks(client)
        every = benchmarks.list()
        found = every[:limit]
        if out.quiet() and not out.as_json():
            for one in found:
                out.text(one.name)
            return
        views = [benchmarks.view(one) for one in found]
    if out.as_json():
        out.data([words.benchmark_json(view) for view in views])
        return
    nothing = "no benchmarks yet; adctl submit benchmark"
    out.table(showing.COLUMNS, [showing.cells(view) for view in views], empty=nothing)
    if len(every) > limit:
        out.note(f"the first {limit}; more with: -n {limit * 5}")


@app.command()
def show(benchmark: options.BenchmarkText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show a benchmark: what it compares, and how each cell stands."""
    from ad_cli.benchmarks import showing

    with session.client() as client:
        benchmarks = session.benchmarks(client)
        showing.show(client, benchmarks.view(benchmarks.find(benchmark)))


@app.command()
def watch(benchmark: options.BenchmarkText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show progress until a benchmark has ended. Ctrl-C leaves it running."""
    from ad_cli.benchmarks.watching import watch_benchmark

    with session.client() as client:
        benchmarks = session.benchmarks(client)
        raise typer.Exit(watch_benchmark(client, benchmarks, benchmarks.find(benchmark)))


@app.command()
def results(
    benchmark: options.BenchmarkText,
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE|DIR", help="Where to; else to stdout.", show_default=False),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Print results.csv: a line for each model, category and seed."""
    from ad_cli.benchmarks import showing

    with session.client() as client:
        benchmarks = session.benchmarks(client)
        showing.results(benchmarks.view(benchmarks.find(benchmark)), to)
