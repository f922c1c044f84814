"""`adctl list`, `show`, `cancel` and `retry`: what was asked for, how it stands, and how it goes on."""

from typing import Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options, steer
from ad_platform.states import JobKind, JobState


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command("list")(list_jobs)
    app.command()(show)
    app.command()(steer.cancel)
    app.command()(steer.retry)


def list_jobs(
    state: Annotated[
        list[JobState] | None,
        typer.Option(
            "--state",
            "-s",
            case_sensitive=False,
            help="Only in this state; may be repeated.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        JobKind | None,
        typer.Option("--kind", "-k", case_sensitive=False, help="Only of this kind.", show_default=False),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            "--model",
            "-m",
            metavar="NAME",
            help="Only of this detector.",
            show_default=False,
        ),
    ] = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="TEXT", help='Only of this name; "*" is anything.', show_default=False
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="K[=V]", help="Only with this tag; may be repeated.", show_default=False
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this group.", show_default=False)
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this user.", show_default=False)
    ] = None,
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this queue.", show_default=False)
    ] = None,
    worker: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those it holds or held last.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only submitted since, as 90m, 2h, 3d or a date.", show_default=False
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(metavar="BY", help="age, state, kind, detector, data, name, user or a measure."),
    ] = "age",
    reverse: Annotated[
        bool, typer.Option("--reverse", "-r", help="The other way round.", show_default=False)
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", callback=options.within(1, 100_000), help="How many at most.")
    ] = 20,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List jobs, newest first.

    Sorted by a measure, such as image_auroc, the highest comes first and the column RESULT shows it. A sweep
    or benchmark is one row, unless --group, --kind, --state or the like ask for its jobs; --json and -q list
    jobs.
    """
    from ad_cli import listing
    from ad_cli.sweeps import listing as sweep_listing
    from ad_platform.requests import JobFilter

    wanted = listing.Wanted(
        filter=JobFilter(
            states=state or (),
            kind=kind,
            detector=detector,
            dataset=dataset,
            category=category,
            name=name,
            tags=listing.tags_of(tag or ()),
            group=group,
            user=user,
            queue=queue,
            worker=worker,
        ),
        since=None if since is None else listing.moment_of(since),
        sort=sort,
        reverse=reverse,
        limit=limit,
    )
    with session.client() as client:
        if not (out.as_json() or out.quiet()) and sweep_listing.fits(wanted):
            sweeps, benchmarks = session.sweeps(client), session.benchmarks(client)
            found = sweep_listing.together(client, sweeps, benchmarks, wanted)
            if found.groups:
                out.table(found.columns, found.rows)
                if found.more:
                    out.note(f"the first {limit}; more with: -n {limit * 5}")
                out.note("the jobs of a sweep or benchmark: adctl list --group NAME")
                return
        listed = listing.find(client, wanted)
        if not listed.jobs and detector is not None:
            client.catalogue().entry(detector)  # a mistyped name is said, not taken for one without jobs
    if out.as_json():
        out.data([shapes.job_json(job) for job in listed.jobs])
    elif out.quiet():
        for job in listed.jobs:
            out.text(job.id)
    else:
        rows = [listing.cells(job, listed) for job in listed.jobs]
        out.table(listing.columns(listed), rows, empty=listing.nothing(wanted))
        if listed.more:
            out.note(f"the first {limit}; more with: -n {limit * 5}")


def show(
    job: options.JobText,
    config: Annotated[
        bool,
        typer.Option(
            "--config", help="Only what `submit train --config` reads, as YAML.", show_default=False
        ),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show a job: settings, attempts, events, result.

    Of a sweep or benchmark, what `adctl sweep show` or `adctl benchmark show` does.
    """
    from ad_cli import showing, targets
    from ad_platform.records import Benchmark, Study

    with session.client() as client:
        sweeps = session.sweeps(client)
        if config:
            of_best = "the settings of its best: adctl sweep best {}"
            showing.show_config(targets.job(client, sweeps, job, of_best))
            return
        found = targets.find(client, sweeps, job)
        if isinstance(found, Study):
            from ad_cli.sweeps import printing

            printing.show(client, sweeps, found)
        elif isinstance(found, Benchmark):
            from ad_cli.benchmarks.showing import show as show_benchmark

            show_benchmark(client, session.benchmarks(client).view(found))
        else:
            showing.show(showing.look(client, found))
