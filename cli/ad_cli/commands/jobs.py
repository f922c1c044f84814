"""`adctl list`, `show`, `cancel` and `retry`: what was asked for, and how it stands."""

from typing import Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_cli.exits import exit_of
from ad_platform.errors import AdctlError
from ad_platform.states import JobKind, JobState


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command("list")(list_jobs)
    app.command()(show)
    app.command()(cancel)
    app.command()(retry)


def list_jobs(
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only in this state; may be repeated.", show_default=False)
    ] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Only of this kind.", show_default=False)] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.", show_default=False)] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", callback=options.within(1, 100_000), help="How many at most.")
    ] = 20,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List jobs, newest first."""
    with session.client() as client:
        jobs = client.jobs(states=state or (), kind=kind, user=user, limit=limit)
    if out.as_json():
        out.data([shapes.job_json(job) for job in jobs])
    elif out.quiet():
        for job in jobs:
            out.text(job.id)
    else:
        rows = [shapes.job_cells(job) for job in jobs]
        out.table(shapes.JOB_COLUMNS, rows, empty="no jobs; submit one with: adctl submit train")


def show(job: options.JobText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show a job: settings, attempts, events, result."""
    from ad_cli import showing

    with session.client() as client:
        found = client.job(job)
        whole = showing.Whole(
            job=found,
            attempts=client.attempts(found),
            events=client.events(found),
            dependents=client.dependents(found),
        )
    showing.show(whole)


def cancel(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB", help="Ids, or their first characters.")],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """End jobs; one that runs is told within seconds."""
    ended, first_error = [], 0
    with session.client() as client:
        for text in jobs:
            try:
                ended.append(client.cancel(text))
            except AdctlError as error:
                # One wrong id must not keep the others running.
                out.error(str(error))
                first_error = first_error or exit_of(error)
    if out.as_json():
        out.data([shapes.job_json(job) for job in ended])
    else:
        for job in ended:
            out.text(job.id if out.quiet() else f"{job.id}  {shapes.state_words(job)}")
    raise typer.Exit(first_error)


def retry(job: options.JobText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Run an ended job again, from its last checkpoint.

    The ended job stays as it is; a new one goes on where it stopped. Only failed and cancelled jobs can be
    run again.
    """
    with session.client() as client:
        submitted = client.retry(job)
    for warning in submitted.warnings:
        out.warn(warning)
    new = submitted.jobs[0]
    if out.as_json():
        out.data(shapes.job_json(new))
    else:
        out.text(new.id if out.quiet() else f"{new.id}  goes on for {new.retry_of}: {new.state}")
