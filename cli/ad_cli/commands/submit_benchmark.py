"""`adctl submit benchmark`: ask for models beside each other on the same categories."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options


def benchmark(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME[:PRESET],...",
            help="The detectors, each with a preset if need be; may be repeated.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            "-d",
            metavar="NAME,...",
            help="Datasets by name, such as mvtec or visa; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The folder of a dataset, or of one category; may be repeated.",
            show_default=False,
        ),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--categories",
            "--category",
            "-c",
            metavar="NAME,...",
            help="Only these, as screw or mvtec/screw; may be repeated. Default: all.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            "--preset",
            "-p",
            metavar="NAME,...",
            help="For each model that names none; of several, the model with each.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-S",
            metavar="[MODEL.]K=V",
            help="One setting, of every model or of one; may be repeated.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(callback=options.within(1, 100), help="How many.")] = 5,
    seed: Annotated[int, typer.Option(callback=options.within(0, 2**31), help="The first of them.")] = 0,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Its name. Default: a free one, such as mvtec-1.", show_default=False
        ),
    ] = None,
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
    key: Annotated[
        str | None,
        typer.Option("--key", help="Submitting a key twice gives one benchmark.", show_default=False),
    ] = None,
    push: options.Push = False,
    wait: options.Wait = False,
    dry_run: options.DryRun = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Fit and evaluate models on categories, several times each.

    What was computed before is taken over. A cell that fails keeps no other from its end; adctl retry runs
    only those again.
    """
    from ad_cli.benchmarks import places, submitting
    from ad_platform.benchmarks.asking import BenchmarkRequest, check, contenders
    from ad_platform.requests import Scheduling

    scheduling = Scheduling(
        tags=options.tags_of(tag),
        queue=queue or "default",
        priority=priority or 0,
        max_attempts=max_attempts or 3,
        timeout=timeout,
        gpus=gpus,
        memory_mb=memory,
        preemptible=preemptible,
    )
    request = BenchmarkRequest(
        models=options.listed(model),
        categories=(),
        presets=options.listed(preset),
        settings=tuple(settings or ()),
        seeds=seeds,
        seed=seed,
        device=device or "auto",
        holdout=holdout,
        image_size=imgsz,
        name=name or "",
        key=key,
        scheduling=scheduling,
    )
    with session.client() as client:
        benchmarks = session.benchmarks(client)
        check(request)
        contenders(client.catalogue(), request)  # a mistyped name is said before any picture is read
        found = places.find(client, data or (), options.listed(dataset), options.listed(categories))
        whole = replace(request, categories=tuple(each.ref for each in found))
        planned = submitting.plan(client, benchmarks, whole, found)
        submitting.submit(client, benchmarks, planned, dry_run=dry_run, wait=wait, push=push)
