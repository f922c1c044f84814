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
    model: options.FittedModel,
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
    form: options.RowsAs = None,
    heat_maps: Annotated[
        bool,
        typer.Option(
            "--heat-maps", help="Make heat maps; --out does unless told not to.", show_default=False
        ),
    ] = False,
    no_heat_maps: Annotated[
        bool, typer.Option("--no-heat-maps", help="Make none, but for --out's table.", show_default=False)
    ] = False,
    masks: Annotated[
        bool,
        typer.Option(
            "--masks", help="Also black and white: what is above the threshold.", show_default=False
        ),
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="Also each map's own numbers (.npy).", show_default=False)
    ] = False,
    overwrite: options.Overwrite = False,
    rate: options.Rate = None,
    threshold: options.Threshold = None,
    settle: Annotated[
        float,
        typer.Option(
            callback=options.within(0.05, 3600),
            metavar="SECONDS",
            help="With --watch: for how long a finished file has not changed.",
        ),
    ] = 2.0,
    device: options.ScoreOn = "auto",
    submit: Annotated[
        bool,
        typer.Option("--submit", help="Score them as a job; adctl results gathers them.", show_default=False),
    ] = False,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="With --submit: every worker has the same folder.", show_default=False),
    ] = False,
    push: Annotated[
        bool,
        typer.Option(
            "--push",
            help="With --submit: send the images to the storage, for any worker.",
            show_default=False,
        ),
    ] = False,
    shard: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 100_000),
            metavar="N",
            help="With --submit: images that are kept together. Default: by cost.",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", "-w", help="With --submit: watch it until it ends.", show_default=False),
    ] = False,
    name: options.Name = None,
    tag: options.Tags = None,
    group: options.Group = None,
    queue: options.QueueName = None,
    priority: options.Priority = None,
    max_attempts: options.MaxAttempts = None,
    timeout: options.Timeout = None,
    memory: options.Memory = None,
    preemptible: options.Preemptible = False,
    key: options.Key = None,
    as_csv: options.RowsAsCsv = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score images, and say which are anomalous.

    It runs here, or with --submit as a job. The threshold is the one that the model was promoted with, of a
    train job the one that its newest evaluation calibrated; on the heat maps of --out, yellow to red is above
    it. Results come in the order of the images, with --watch as files are finished. Images that cannot be
    read are named, the others are scored, and the exit code is then 2.
    """
    from ad_cli import predicting, predictions

    of_job = {
        "--shared": shared,
        "--push": push,
        "--shard": shard,
        "--wait": wait,
        "--name": name,
        "--tag": tag,
        "--group": group,
        "--queue": queue,
        "--priority": priority,
        "--max-attempts": max_attempts,
        "--timeout": timeout,
    }
    of_job |= {"--memory": memory, "--preemptible": preemptible, "--key": key}
    if heat_maps and no_heat_maps:
        raise InvalidRequest("give either --heat-maps or --no-heat-maps, not both")
    drawn = {"--heat-maps": heat_maps, "--masks": masks, "--maps": maps}
    pictures = {"IMAGE": images, "--files-from": files_from, "--watch": watch}
    here = {"--out": to, "--overwrite": overwrite, "--watch": watch}
    predicting.check(submit=submit, of_job=of_job, drawn=drawn, pictures=pictures, here=here, null=null)
    shown = predictions.format_of(form, as_csv=as_csv)
    if not submit:
        predicting.need_torch()
    from ad_workers.predicting.asking import Asked
    from ad_workers.predicting.places import Makes

    asked = Asked(
        model=model,
        images=images or (),
        files_from=files_from,
        null=null,
        out=to,
        makes=Makes(overlays=heat_maps or not (submit or no_heat_maps), masks=masks, maps=maps),
        form=predictions.JSONL if shown == predictions.JSONL else predictions.CSV,
        overwrite=overwrite,
        rate=rate,
        threshold=threshold,
        device=device,
    )
    with session.client() as client:
        if submit:
            from ad_cli import predicting_jobs

            sent = predicting_jobs.sent(of_job, tags=options.tags_of(tag))
            code = predicting_jobs.submit(client, asked, sent, wait=wait)
        elif watch is not None:
            code = predicting.watch(client, asked, watch, settle, shown)
        else:
            code = predicting.predict(client, asked, shown)
    raise typer.Exit(code)
