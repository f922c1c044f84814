"""`adctl submit`: ask for a fit or an evaluation."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options

if TYPE_CHECKING:
    from ad_cli.datasets import Found
    from ad_platform.client import Client
    from ad_platform.requests import Submitted
    from ad_platform.specs import Submission

app = typer.Typer(no_args_is_help=True, help="Ask for work.")


@app.command()
def train(
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help="The detector.", show_default=False)
    ],
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
    seed: Annotated[
        int, typer.Option(callback=options.within(0, 2**63 - 1), help="Decides every random draw.")
    ] = 0,
    name: options.Name = "",
    tag: options.Tags = None,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or indices such as 0,1.")] = "auto",
    imgsz: Annotated[
        int | None,
        typer.Option(callback=options.within(1), help="Short for -S image_size=N.", show_default=False),
    ] = None,
    queue: options.QueueName = "default",
    priority: options.Priority = 0,
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
    max_attempts: options.MaxAttempts = 3,
    key: options.Key = None,
    no_evaluate: Annotated[
        bool, typer.Option("--no-evaluate", help="Do not evaluate the result.", show_default=False)
    ] = False,
    wait: options.Wait = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be submitted.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Fit a detector on normal images, then evaluate it."""
    from ad_cli import datasets
    from ad_platform.requests import Scheduling, TrainRequest

    with session.client() as client:
        client.catalogue().entry(model)  # a mistyped name is said before any image is read
        found = datasets.find(client, data, dataset, category)
        request = TrainRequest(
            detector=model,
            dataset=found.ref,
            preset=preset,
            settings=settings or (),
            image_size=imgsz,
            seed=seed,
            device=device,
            checkpoint_every=checkpoint_every,
            holdout=holdout,
            evaluate=not no_evaluate,
            scheduling=Scheduling(
                name=name,
                tags=options.tags_of(tag),
                queue=queue,
                priority=priority,
                max_attempts=max_attempts,
                key=key,
            ),
        )
        plan = _evaluable(client.plan_train(request), found)
        if dry_run:
            _show_plan(plan, found)
            return
        _submit(client, plan, found, wait=wait)


@app.command()
def evaluate(
    job: options.JobText,
    data: options.Data = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    name: options.Name = "",
    tag: options.Tags = None,
    queue: options.QueueName = "default",
    priority: options.Priority = 0,
    max_attempts: options.MaxAttempts = 3,
    key: options.Key = None,
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score test images with the model of a train job.

    Those of the category it was trained on, unless another one is given.
    """
    from ad_cli import datasets
    from ad_platform.errors import InvalidData
    from ad_platform.requests import Scheduling

    with session.client() as client:
        source = client.job(job)
        elsewhere = data is not None or dataset is not None or category is not None
        found = datasets.find(client, data, dataset, category) if elsewhere else None
        if found is not None and not found.has_test and not found.held_out(source.spec.holdout):
            raise InvalidData(f"{found.ref.path} has no test images; expected test/good and test/<defect>")
        scheduling = Scheduling(
            name=name,
            tags=options.tags_of(tag),
            queue=queue,
            priority=priority,
            max_attempts=max_attempts,
            key=key,
        )
        plan = client.plan_evaluate(source.id, found.ref if found else None, scheduling)
        _submit(client, plan, found, wait=wait)


def _evaluable(plan: "list[Submission]", found: "Found") -> "list[Submission]":
    """Leave the evaluation out where there is nothing to evaluate on, and say what is missing."""
    if found.has_test or len(plan) == 1:
        return plan
    held = found.held_out(plan[0].spec.holdout)
    then = f"only the {held} held out of training will be scored" if held else "nothing will be evaluated"
    out.note(f"{found.ref.path} has no test images, so {then}")
    return plan if held else plan[:1]


def _submit(client: "Client", plan: "list[Submission]", found: "Found | None", *, wait: bool) -> None:
    if found is not None and found.here:
        client.hold(found.ref)
    submitted = client.submit(plan)
    _show_submitted(submitted, wait=wait)
    if wait:
        from ad_cli.watching import watch_to_the_end

        raise typer.Exit(watch_to_the_end(client, submitted.jobs))


def _show_submitted(submitted: "Submitted", *, wait: bool) -> None:
    for warning in submitted.warnings:
        out.warn(warning)
    first = submitted.jobs[0]
    if wait and out.as_json():
        return  # the watch tells everything, one JSON line per change
    if out.as_json():
        out.data(
            {
                "jobs": [shapes.job_json(job) for job in submitted.jobs],
                "rung": submitted.rung,
                "warnings": list(submitted.warnings),
            }
        )
        return
    if out.quiet():
        out.text(first.id)
        return
    for job in submitted.jobs:
        data = job.spec.dataset
        out.text(
            f"{job.id}  {job.kind.value} {job.spec.detector} on {data.dataset}/{data.category}: {job.state}"
        )
    if not wait:
        out.note(f"watch it with: adctl watch {first.id}")


def _show_plan(plan: "list[Submission]", found: "Found") -> None:
    spec = plan[0].spec
    if out.as_json():
        out.data([{**submission.spec.to_json(), "key": submission.spec.key} for submission in plan])
        return
    counts = found.counts(spec.holdout)
    out.pairs(
        {
            "detector": spec.detector,
            "preset": spec.preset or "-",
            "data": f"{spec.dataset.dataset}/{spec.dataset.category}" + (f" ({counts})" if counts else ""),
            "holdout": spec.holdout,
            "fingerprint": spec.dataset.fingerprint,
            "seed": str(spec.seed),
            "device": spec.device,
            "jobs": ", ".join(submission.spec.kind.value for submission in plan),
            **{f"  {name}": str(value) for name, value in sorted(spec.config.items())},
        }
    )
    out.note("nothing was submitted")
