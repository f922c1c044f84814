"""`adctl diff`: what differs between two jobs."""

from typing import Annotated

import typer

from ad_cli import out, session

SECOND = Annotated[str, typer.Argument(metavar="JOB", help="The other one, named alike.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(diff)


def diff(
    a: Annotated[
        str,
        typer.Argument(metavar="JOB", help="A job's id, its first characters, or @last.", show_default=False),
    ],
    b: SECOND,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show what differs between two jobs, from config to metrics.

    A train job is measured by its newest evaluation. Of two evaluations of the same images the difference has
    an interval. It is no error if they differ.
    """
    from ad_cli import differences
    from ad_platform.comparing import compare, same_images

    with session.client() as client:
        comparison = compare(client, client.job(a), client.job(b))
        both = same_images(comparison)
        found = None
        if both is not None and not out.quiet():
            from ad_cli.paired import paired

            found = paired(client, *both)
    differences.show(comparison, found)
