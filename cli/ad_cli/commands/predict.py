"""`adctl predict`: score pictures on this machine with a fitted model."""

import os
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.exits import Exit
from ad_platform.errors import InvalidData, InvalidRequest, MissingExtra


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(predict)


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="NAME@ALIAS (champion without one), a train job, @last, or a folder with a fitted model.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="Files, patterns, and folders: what lies directly in them.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Write heat maps and scores.csv there.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that lie there.", show_default=False)
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="The share of good images that may be called anomalous. Default: the least certified.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="T", help="A score above which an image is anomalous.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or indices such as 0,1.")] = "auto",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV to stdout.", show_default=False)] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score images, and say which are anomalous.

    Nothing is submitted: it runs here. The threshold is the one that the model's newest evaluation
    calibrated; on the heat maps of --out, yellow to red is above it. Images that cannot be read are named,
    the others are scored, and the exit code is then 2.
    """
    if out.as_json() and as_csv:
        raise InvalidRequest("give either --json or --csv, not both")
    if find_spec("torch") is None:
        raise MissingExtra("scoring images", "worker")
    # Read when torch is loaded: threads that spin while they wait slow a shared machine tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ad_cli import predictions
    from ad_workers.predicting.asking import Asked, begin

    asked = Asked(
        model=model,
        images=images,
        out=to,
        overwrite=overwrite,
        rate=rate,
        threshold=threshold,
        device=device,
    )
    with session.client() as client:
        run = begin(client, asked)
        shown = predictions.shown_as(run, as_csv=as_csv)
        try:
            with closing(run.predict()) as made:
                shown.all_of(made)
        except KeyboardInterrupt:
            out.note(f"\ninterrupted after {shown.count} of {len(run.pictures)} images")
            raise typer.Exit(Exit.INTERRUPTED) from None
    if shown.failed:
        raise InvalidData(f"{shown.failed} of {len(run.pictures)} images could not be scored")
