"""`adctl cancel` and `adctl retry`: end jobs, sweeps and benchmarks, and run what failed again."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.states import JobState


def cancel(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB",
            help="Ids, their first characters, @last, or the names of sweeps and benchmarks.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of yours that have not ended.", show_default=False)
    ] = False,
    state: Annotated[
        list[JobState] | None,
        typer.Option(
            "--state",
            "-s",
            case_sensitive=False,
            help="Of --all only jobs in this state; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """End jobs; one that runs is told within seconds.

    Jobs that need one of them, such as its evaluation, cannot run then and end too. A sweep ends with all it
    has running, and nothing is made of it; adctl sweep stop keeps its best. A benchmark
    keeps the results it has.
    """
    from ad_cli import cancelling

    with session.client() as client:
        sweeps = session.sweeps(client)
        texts = cancelling.chosen(client, sweeps, jobs or (), state or (), everything=everything)
        raise typer.Exit(cancelling.cancel(client, sweeps, texts))


def retry(
    jobs: Annotated[
        list[str],
        typer.Argument(
            metavar="JOB",
            help="Ids, their first characters, @last, or the names of sweeps and benchmarks.",
            show_default=False,
        ),
    ],
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Run again ended jobs, or what failed of a sweep or benchmark.

    An ended job stays as it is; a new one goes on from its last checkpoint. Only failed and cancelled jobs
    can be run again; one that is being cancelled is waited for.
    """
    from ad_cli import retrying

    with session.client() as client:
        raise typer.Exit(retrying.retry(client, session.sweeps(client), jobs, wait=wait))
