"""`adctl sweep pause`, `resume`, `extend`, `stop` and `clone`: change what a sweep still does."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.errors import InvalidRequest

More = Annotated[
    int | None,
    typer.Option(callback=options.within(1, 10_000), metavar="N", help="At a time.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in (pause, resume, extend, stop, clone):
        app.command()(command)


def pause(sweep: options.SweepText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Let a sweep ask for no more trials until it is resumed.

    Those that run go on.
    """
    from ad_cli.sweeps import steering

    with session.client() as client:
        sweeps = session.sweeps(client)
        steering.say(sweeps, sweeps.pause(sweep))


def resume(
    sweep: options.SweepText,
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Let a paused or cancelled sweep go on."""
    from ad_cli.sweeps import steering

    with session.client() as client:
        sweeps = session.sweeps(client)
        steering.go_on(client, sweeps, sweeps.resume(sweep), wait=wait)


def extend(
    sweep: options.SweepText,
    trials: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 1_000_000), metavar="N", help="So many more.", show_default=False
        ),
    ] = None,
    parallel: More = None,
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Ask for more trials, or for more or fewer at a time.

    A sweep that has ended goes on.
    """
    if trials is None and parallel is None:
        raise InvalidRequest("say what to change: --trials N for so many more, or --parallel N at a time")
    from ad_cli.sweeps import steering

    with session.client() as client:
        sweeps = session.sweeps(client)
        steering.go_on(client, sweeps, sweeps.extend(sweep, trials=trials, parallel=parallel), wait=wait)


def stop(
    sweep: options.SweepText,
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """End a sweep early, with what it has.

    What runs is ended, and the best so far is trained and evaluated. To make nothing of it: adctl cancel.
    """
    from ad_cli.sweeps import steering

    with session.client() as client:
        sweeps = session.sweeps(client)
        steering.go_on(client, sweeps, sweeps.stop(sweep), wait=wait)


def clone(
    sweep: options.SweepText,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Its name. Default: a free one like that of the other.", show_default=False
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 1_000_000),
            metavar="N",
            help="How many. Default: as many.",
            show_default=False,
        ),
    ] = None,
    parallel: More = None,
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Knowing the other's trials from the start.", show_default=False),
    ] = False,
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Ask for the same sweep again, as a new one."""
    from ad_cli.sweeps import steering

    with session.client() as client:
        sweeps = session.sweeps(client)
        study = sweeps.clone(sweep, name=name or "", trials=trials, parallel=parallel, warm=warm)
        steering.go_on(client, sweeps, study, wait=wait)
