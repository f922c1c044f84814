"""`adctl predict`: score pictures with a fitted model, on this machine or as a job."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.errors import InvalidRequest


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
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Files, patterns, and folders: what lies directly in them. - is one picture on stdin.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Write heat maps and a table there.", show_default=False
        ),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score each finished file that comes into a folder, once; go on until ended.",
            show_default=False,
        ),
    ] = None,
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Names of images, one a line; - reads them from stdin.", show_default=False
        ),
    ] = None,
    null: Annotated[
        bool,
        typer.Option("--null", "-0", help="Names end with NUL (find -print0).", show_default=False),
    ] = False,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="table, csv or jsonl, on stdout.", show_default=False),
    ] = None,
    heat_maps: Annotated[
        bool | None,
        typer.Option("--heat-maps/--no-heat-maps", help="Default: with --out.", show_default=False),
    ] = None,
    masks: Annotated[
        bool,
        typer.Option(
            "--masks", help="Also black and white: what is above the threshold.", show_default=False
        ),
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="Also each map's own numbers (.npy).", show_default=False)
    ] = False,
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
    settle: Annotated[
        float,
        typer.Option(
            callback=options.within(0.05, 3600),
            metavar="SECONDS",
            help="With --watch: for how long a finished file has not changed.",
        ),
    ] = 2.0,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or indices such as 0,1.")] = "auto",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Short for --format csv.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score images, and say which are anomalous.

    It runs here. The threshold is the one that the model's newest evaluation calibrated; on the heat maps of
    --out, yellow to red is above it. Results come in the order of the images. Images that cannot be read are
    named, the others are scored, and the exit code is then 2.
    """
    from ad_cli import predicting, predictions
    from ad_workers.predicting.asking import Asked, Watched
    from ad_workers.predicting.places import Makes

    shown = predictions.format_of(form, as_csv=as_csv)
    if to is None and (heat_maps or masks or maps):
        raise InvalidRequest("--heat-maps, --masks and --maps write files: add --out DIR")
    if null and files_from is None:
        raise InvalidRequest("--null says how the names of --files-from end; add --files-from FILE")
    if watch is None and not images and files_from is None:
        raise InvalidRequest("IMAGE is missing: name files, folders or patterns, or - for one on stdin")
    predicting.need_torch()
    asked = Asked(
        model=model,
        images=images or (),
        files_from=files_from,
        null=null,
        out=to,
        makes=Makes(overlays=heat_maps is not False, masks=masks, maps=maps),
        form=predictions.JSONL if shown == predictions.JSONL else predictions.CSV,
        overwrite=overwrite,
        rate=rate,
        threshold=threshold,
        device=device,
    )
    with session.client() as client:
        if watch is not None:
            code = predicting.watch(client, asked, Watched(folder=watch, settle=settle), shown)
        else:
            code = predicting.predict(client, asked, shown)
    raise typer.Exit(code)
