"""`adctl submit sweep`: ask for a search over a detector's settings."""

from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options


def sweep(
    model: options.Model = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-P",
            metavar="K=RANGE",
            help="A setting to search: a:b, a:b:step, a:b:log or x,y,z; may be repeated. "
            "Default: what the detector declares.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What to search, as this TOML says.", show_default=False),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:DIR]",
            help="What trials are compared by, such as latency_ms:min; may be repeated. "
            "Default: validation/image_auroc.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int, typer.Option(callback=options.within(1, 1_000_000), help="How many trials.")] = 20,
    parallel: Annotated[
        int, typer.Option(callback=options.within(1, 10_000), help="How many of them at a time.")
    ] = 2,
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME[:K=V,...]",
            help="What proposes settings: tpe, cmaes, gp, qmc, random, grid or nsgaii.",
        ),
    ] = "tpe",
    pruner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:K=V,...]",
            help="What ends hopeless trials: none, median, percentile, asha, hyperband or patient. "
            "Default: median, or none for several objectives.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            callback=options.within(1, 100), help="How often each trial is repeated; the mean counts."
        ),
    ] = 1,
    sampler_seed: Annotated[
        int, typer.Option(callback=options.within(0, 2**31 - 1), help="Decides what the sampler proposes.")
    ] = 0,
    warm_start: Annotated[
        str | None,
        typer.Option(
            metavar="SWEEP", help="A sweep whose trials are known from the start.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Its name. Default: a free one, such as ddad-screw-1.", show_default=False
        ),
    ] = None,
    preset: options.Preset = None,
    settings: options.Settings = None,
    source: options.Source = None,
    config: options.ConfigFile = None,
    seed: options.Seed = None,
    tag: options.Tags = None,
    device: options.Device = None,
    imgsz: options.ImageSize = None,
    queue: options.QueueName = None,
    priority: options.Priority = None,
    holdout: options.Holdout = None,
    max_attempts: options.MaxAttempts = None,
    timeout: options.Timeout = None,
    gpus: options.Gpus = None,
    memory: options.Memory = None,
    preemptible: options.Preemptible = False,
    push: options.Push = False,
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Search for good settings of a detector.

    Trials that differ only in how they score share one training. At the end the best one is trained and
    evaluated.
    """
    from ad_cli import asking
    from ad_cli.sweeps import asking as sweep_asking
    from ad_cli.sweeps import submitting
    from ad_platform.wishes import Wish

    wish = Wish(
        detector=model,
        preset=preset,
        settings=tuple(settings or ()),
        image_size=imgsz,
        seed=seed,
        device=device,
        holdout=holdout,
        tags=options.tags_of(tag),
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        timeout=timeout,
        gpus=gpus,
        memory_mb=memory,
        preemptible=preemptible or None,
    )
    search = sweep_asking.Search(
        params=tuple(param or ()),
        space_file=space,
        objectives=tuple(objective or ()),
        sampler=sampler,
        pruner=pruner,
        seeds=seeds,
        sampler_seed=sampler_seed,
        trials=trials,
        parallel=parallel,
        name=name or "",
        warm_start=warm_start,
    )
    images = asking.Images(data=data, dataset=dataset, category=category)
    with session.client() as client:
        sweeps = session.sweeps(client)
        below = asking.source(client, source, config)
        planned = sweep_asking.plan(client, sweeps, below, wish, images, search)
        submitting.submit(client, sweeps, planned, dry_run=dry_run, wait=wait, push=push)
