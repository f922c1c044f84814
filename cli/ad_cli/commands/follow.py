"""`adctl watch` and `adctl logs`: look on while a job runs."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_cli.exits import Exit
from ad_platform.states import JobState


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(watch)
    app.command()(logs)


def watch(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="All that has not ended, unless given.", show_default=False),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show progress until a job has ended.

    With the jobs that need it, such as its evaluation. Ctrl-C leaves them running.
    """
    from ad_cli.watching import watch_to_the_end

    unfinished = [state for state in JobState if not state.terminal]
    with session.client() as client:
        if job is None:
            watched = client.jobs(states=unfinished)
        else:
            first = client.job(job)
            watched = [first, *client.dependents(first)]
        if not watched:
            out.note("nothing is waiting, queued or running")
            return
        raise typer.Exit(watch_to_the_end(client, watched))


def logs(
    job: options.JobText,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.", show_default=False)
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            callback=options.within(0), metavar="N", help="Only the last lines.", show_default=False
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
    """Print what a job has written."""
    from ad_cli.logging_out import print_log

    with session.client() as client:
        found = client.job(job)
        try:
            print_log(client, found, attempt, follow=follow, tail=tail)
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None
