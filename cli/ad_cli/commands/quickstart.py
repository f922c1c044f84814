"""`adctl quickstart`: everything once, on pictures that are drawn here."""

import typer

from ad_cli import out, session


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(quickstart)


def quickstart(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Try everything once, on screws that are drawn here.

    Starts the services, trains and evaluates two detectors, promotes the better one and predicts.

    Takes minutes on two CPU cores and no network. Repeated, it goes on where it was stopped and does nothing
    twice. The services are left running: adctl down stops them.
    """
    from ad_cli.commands import stack
    from ad_cli.quickstart.steps import tour
    from ad_cli.quickstart.telling import tell

    settings = session.settings()
    tell(settings, tour(settings, stack.start))
