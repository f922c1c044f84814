"""`adctl report`: a page about a job, a benchmark or a sweep that opens anywhere, made as it stands now."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_platform.pages import writing

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Benchmark, Job, Study

SHORT = 8  # characters of a job's id in the name of its page
TRIALS = b"number,state,origin,retry_of"  # how the table of a sweep begins


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(report)


def report(
    target: Annotated[
        str,
        typer.Argument(
            metavar="JOB|BENCHMARK|SWEEP",
            help="A job's id or its first characters, a benchmark's or sweep's name, or @last, a job.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE|DIR",
            help="Where to; a name that ends in .html is the page itself. Default: TARGET-report.",
            show_default=False,
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Make a page about a job, a benchmark or a sweep.

    One file that opens without a network; of a sweep with a table of all trials beside it. Of a train job
    the page shows its evaluation too. What an earlier call wrote there is replaced, other files never.
    """
    from ad_cli import targets
    from ad_platform.records import Benchmark, Study

    with session.client() as client:
        found = targets.find(client, session.sweeps(client), target)
        if isinstance(found, Study):
            _of_sweep(client, found, to)
        elif isinstance(found, Benchmark):
            _of_benchmark(client, found, to)
        else:
            _of_job(client, found, to)


def _of_job(client: Client, job: Job, to: Path | None) -> None:
    text = client.page(job)
    _write(text, Path(f"{job.id[:SHORT]}-report.html") if to is None else to, job=job.id)


def _of_benchmark(client: Client, benchmark: Benchmark, to: Path | None) -> None:
    text = client.page(benchmark)
    name = benchmark.name
    _write(text, Path(f"{name}-report.html") if to is None else to, benchmark=name)


def _write(text: str, to: Path, **about: str) -> None:
    """Write a page, and say where it lies."""
    place = writing.page_place(to)
    writing.write({place: text.encode()})
    if out.as_json():
        out.data({**about, "page": str(place)})
    else:
        out.text(str(place))


def _of_sweep(client: Client, study: Study, to: Path | None) -> None:
    from ad_platform.sweeps.report import PAGE, TABLE

    page = writing.page_place(Path(f"{study.name}-report") if to is None else to)
    own = to is not None and page.name == to.name
    table = page.with_suffix(".csv") if own else page.with_name(TABLE)
    with TemporaryDirectory(prefix="adctl-report-") as made:
        client.sweeps.report(study, Path(made))
        files = {page: (Path(made) / PAGE).read_bytes(), table: (Path(made) / TABLE).read_bytes()}
    writing.write(files, TRIALS)
    if out.as_json():
        out.data({"sweep": study.name, "page": str(page), "trials": str(table)})
        return
    out.text(str(page))
    out.note(f"all trials as a table: {table}")
