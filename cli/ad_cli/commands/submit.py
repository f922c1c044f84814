"""`adctl submit`: ask for a fit or an evaluation, or for what another job was, changed here and there."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options

app = typer.Typer(no_args_is_help=True, help="Ask for work; --from JOB alone asks for what that job was.")


# Without a command, `adctl submit --from JOB -S w=5`, it is a training too.
@app.callback(invoke_without_command=True)
@app.command()
def train(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="The detector.", show_default=False)
    ] = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="Settings by name.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", metavar="K=V", help="One setting; may be repeated.", show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="JOB", help="As that job, but for other options.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="As this YAML says (adctl show JOB --config).", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            callback=options.within(0, 2**63 - 1),
            help="Decides every random draw. Default: 0.",
            show_default=False,
        ),
    ] = None,
    name: options.Name = None,
    tag: options.Tags = None,
    group: options.Group = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, mps, cuda, or indices such as 0,1. Default: auto.", show_default=False),
    ] = None,
    imgsz: Annotated[
        int | None,
        typer.Option(callback=options.within(1), help="Short for -S image_size=N.", show_default=False),
    ] = None,
    queue: options.QueueName = None,
    priority: options.Priority = None,
    holdout: Annotated[
        str | None,
        typer.Option(
            metavar="V/C|none",
            help="Percent of the normal images kept from training to validate and to calibrate on. "
            "Default: 10/10, or none for a published preset.",
            show_default=False,
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1), metavar="STEPS", help="Default: by cost.", show_default=False
        ),
    ] = None,
    max_attempts: options.MaxAttempts = None,
    key: options.Key = None,
    no_evaluate: Annotated[
        bool, typer.Option("--no-evaluate", help="Do not evaluate the result.", show_default=False)
    ] = False,
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Fit a detector on normal images, then evaluate it."""
    if options.command_follows(context, unless="--from"):
        return
    from ad_cli import asking, submitting
    from ad_platform.wishes import Wish

    wish = Wish(
        detector=model,
        preset=preset,
        settings=tuple(settings or ()),
        image_size=imgsz,
        seed=seed,
        device=device,
        holdout=holdout,
        checkpoint_every=checkpoint_every,
        evaluate=False if no_evaluate else None,
        name=name,
        tags=options.tags_of(tag),
        group=group,
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        key=key,
    )
    images = asking.Images(data=data, dataset=dataset, category=category)
    with session.client() as client:
        plan = asking.plan_train(client, asking.source(client, source, config), wish, images)
        submitting.submit(client, plan, dry_run=dry_run, wait=wait)


@app.command()
def evaluate(
    job: options.JobText,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    name: options.Name = None,
    tag: options.Tags = None,
    group: options.Group = None,
    queue: options.QueueName = None,
    priority: options.Priority = None,
    max_attempts: options.MaxAttempts = None,
    key: options.Key = None,
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score test images with the model of a train job.

    Those of the category it was trained on, unless another one is given.
    """
    from ad_cli import asking, submitting
    from ad_platform.wishes import Wish

    wish = Wish(
        name=name,
        tags=options.tags_of(tag),
        group=group,
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        key=key,
    )
    images = asking.Images(data=data, dataset=dataset, category=category)
    with session.client() as client:
        submitting.submit(client, asking.plan_evaluate(client, job, wish, images), dry_run=dry_run, wait=wait)
