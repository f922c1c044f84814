"""`adctl watch` and `adctl logs`: look on while a job runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_cli.exits import Exit
from ad_platform.states import StudyState

if TYPE_CHECKING:
    from ad_platform.sweeps.steering import Sweeps


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(watch)
    app.command()(logs)


def watch(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB",
            help="Ids, their first characters, or @last; all that has not ended, unless given.",
            show_default=False,
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show progress until a job, sweep or benchmark has ended.

    With the jobs that need it, such as its evaluation. Ctrl-C leaves them running.
    """
    from ad_cli import targets
    from ad_cli.watching import watch_everything, watch_to_the_end
    from ad_platform.records import Benchmark, Study

    with session.client() as client:
        sweeps = session.sweeps(client)
        if not jobs:
            code = watch_everything(client)
            if code is not Exit.INTERRUPTED:
                _say_which_go_on(sweeps)
            raise typer.Exit(code)
        found = targets.find(client, sweeps, jobs[0]) if len(jobs) == 1 else None
        if isinstance(found, Study):
            from ad_cli.sweeps.watching import watch_sweep

            raise typer.Exit(watch_sweep(client, sweeps, found))
        if isinstance(found, Benchmark):
            from ad_cli.benchmarks.watching import watch_benchmark

            raise typer.Exit(watch_benchmark(client, session.benchmarks(client), found))
        alone = "watch it by itself: adctl sweep watch {}"
        named = [targets.job(client, sweeps, text, alone) for text in jobs]
        watched = [job for one in named for job in (one, *client.dependents(one))]
        raise typer.Exit(watch_to_the_end(client, list({job.id: job for job in watched}.values())))


def _say_which_go_on(sweeps: "Sweeps") -> None:
    """Name the sweeps that run: between two trials one may have no job to be watched."""
    for view in sweeps.list():
        if view.study.state is StudyState.RUNNING:
            name = view.study.name
            out.note(f"sweep {name} goes on: adctl sweep watch {name}")


def logs(
    job: options.JobText,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.", show_default=False)
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            "--tail",
            "-n",
            callback=options.within(0),
            metavar="N",
            help="Only the last lines.",
            show_default=False,
        ),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1), metavar="N", help="Default: the newest.", show_default=False
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Print what a job has written. Ctrl-C ends the printing, not the job."""
    from ad_cli.logging_out import print_log

    with session.client() as client:
        raise typer.Exit(print_log(client, client.job(job), attempt, follow=follow, tail=tail))
