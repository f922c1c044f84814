"""`adctl submit`: ask for a fit or an evaluation, or for what another job was, changed here and there."""

from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options, submit_benchmark, submit_sweep

app = typer.Typer(no_args_is_help=True, help="Ask for work; --from JOB alone asks for what that job was.")


# Without a command, `adctl submit --from JOB -S w=5`, it is a training too.
@app.callback(invoke_without_command=True)
@app.command()
def train(
    context: typer.Context,
    model: options.Model = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    preset: options.Preset = None,
    settings: options.Settings = None,
    source: options.Source = None,
    config: options.ConfigFile = None,
    seed: options.Seed = None,
    name: options.Name = None,
    tag: options.Tags = None,
    group: options.Group = None,
    device: options.Device = None,
    imgsz: options.ImageSize = None,
    queue: options.QueueName = None,
    priority: options.Priority = None,
    holdout: options.Holdout = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1), metavar="STEPS", help="Default: by cost.", show_default=False
        ),
    ] = None,
    max_attempts: options.MaxAttempts = None,
    timeout: options.Timeout = None,
    gpus: options.Gpus = None,
    memory: options.Memory = None,
    preemptible: options.Preemptible = False,
    key: options.Key = None,
    no_evaluate: Annotated[
        bool, typer.Option("--no-evaluate", help="Do not evaluate the result.", show_default=False)
    ] = False,
    push: options.Push = False,
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
        timeout=timeout,
        gpus=gpus,
        memory_mb=memory,
        preemptible=preemptible or None,
        key=key,
    )
    images = asking.Images(data=data, dataset=dataset, category=category)
    with session.client() as client:
        plan = asking.plan_train(client, asking.source(client, source, config), wish, images)
        submitting.submit(client, plan, dry_run=dry_run, wait=wait, push=push)


@app.command()
def evaluate(
    job: options.JobText,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    attack: options.Attacks = None,
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
    push: options.Push = False,
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score test images with the model of a train job.

    Those of the category it was trained on, unless another one is given. With --attack also what the model
    is worth against somebody who changes pictures to deceive it.
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
        timeout=timeout,
        memory_mb=memory,
        preemptible=preemptible or None,
        key=key,
    )
    images = asking.Images(data=data, dataset=dataset, category=category)
    with session.client() as client:
        plan = asking.plan_evaluate(client, job, wish, images, attack or ())
        submitting.submit(client, plan, dry_run=dry_run, wait=wait, push=push)


app.command()(submit_sweep.sweep)
app.command()(submit_benchmark.benchmark)
