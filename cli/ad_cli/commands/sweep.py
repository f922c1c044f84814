"""`adctl sweep`: look at sweeps, and hold them back, let them go on or end them."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options, sweep_steering
from ad_platform.states import StudyState, TrialState

app = typer.Typer(no_args_is_help=True, help="Searches over settings: look at them, steer them.")


@app.command("list")
def list_sweeps(
    state: Annotated[
        list[StudyState] | None,
        typer.Option(
            "--state",
            "-s",
            case_sensitive=False,
            help="Only in this state; may be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", callback=options.within(1, 100_000), help="How many at most.")
    ] = 20,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List sweeps, newest first, with how far they are."""
    from ad_cli.sweeps import showing, words

    with session.client() as client:
        found = session.sweeps(client).list()
    fitting = [view for view in found if not state or view.study.state in state]
    views = fitting[:limit]
    if out.as_json():
        out.data([words.sweep_json(view) for view in views])
    elif out.quiet():
        for view in views:
            out.text(view.study.name)
    else:
        nothing = (
            "no sweep fits; all of them: adctl sweep list" if found else "no sweeps yet; adctl submit sweep"
        )
        out.table(showing.COLUMNS, [showing.cells(view) for view in views], empty=nothing)
        if len(fitting) > limit:
            out.note(f"the first {limit}; more with: -n {limit * 5}")


@app.command()
def show(sweep: options.SweepText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show a sweep: its space, trials, best and result."""
    from ad_cli.sweeps import printing

    with session.client() as client:
        sweeps = session.sweeps(client)
        printing.show(client, sweeps, sweeps.find(sweep))


@app.command()
def trials(
    sweep: options.SweepText,
    state: Annotated[
        list[TrialState] | None,
        typer.Option(
            "--state",
            "-s",
            case_sensitive=False,
            help="Only in this state; may be repeated.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            metavar="BY", help="number, value (the best first), state, time, a setting or an objective."
        ),
    ] = "number",
    reverse: Annotated[
        bool, typer.Option("--reverse", "-r", help="The other way round.", show_default=False)
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", callback=options.within(1, 1_000_000), help="How many at most.")
    ] = 100,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List the trials of a sweep, with what each tried and measured."""
    from ad_cli.sweeps import printing

    with session.client() as client:
        sweeps = session.sweeps(client)
        study = sweeps.find(sweep)
        printing.list_trials(sweeps, study, state or (), sort, reverse=reverse, limit=limit)


@app.command()
def watch(sweep: options.SweepText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show progress until a sweep has ended. Ctrl-C leaves it running."""
    from ad_cli.sweeps.watching import watch_sweep

    with session.client() as client:
        sweeps = session.sweeps(client)
        raise typer.Exit(watch_sweep(client, sweeps, sweeps.find(sweep)))


@app.command()
def best(sweep: options.SweepText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Print the settings of the best trial, as a submit takes them.

    Of several objectives, a line for each trial that none is better than in everything.
    """
    from ad_cli.sweeps import printing

    with session.client() as client:
        sweeps = session.sweeps(client)
        printing.show_best(client, sweeps, sweeps.find(sweep))


sweep_steering.add_to(app)
