"""`adctl results`: gather what a prediction job has scored."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(results)


def results(
    job: options.JobText,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Write a table there, and what was drawn.", show_default=False
        ),
    ] = None,
    form: options.RowsAs = None,
    overwrite: options.Overwrite = False,
    as_csv: options.RowsAsCsv = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Gather what a prediction job has scored.

    It is printed as `adctl predict` prints it, in the order of the images, with the same scores; while the
    job runs, or after it failed, what there is so far. Images that could not be read are named, and the exit
    code is then 2.
    """
    from ad_cli import predicting_jobs, predictions

    shown = predictions.format_of(form, as_csv=as_csv)
    with session.client() as client:
        code = predicting_jobs.results(client, job, to, shown, overwrite=overwrite)
    raise typer.Exit(code)
