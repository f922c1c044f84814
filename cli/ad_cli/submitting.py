"""Submits a plan or shows it: data to stdout; to stderr what it will compute on and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ad_cli import out, shapes
from ad_platform.durations import exact
from ad_platform.states import JobKind

if TYPE_CHECKING:
    from ad_cli.asking import Plan
    from ad_platform.client import Client
    from ad_platform.requests import Submitted
    from ad_platform.specs import Json, Submission


def submit(client: Client, plan: Plan, *, dry_run: bool, wait: bool, push: bool = False) -> None:
    """Submit a plan and say what became of it; with `wait`, watch until all has ended."""
    if dry_run:
        _show_plan(plan)
        return
    if plan.found is not None and plan.found.here:
        client.hold(plan.found.ref)
    if push:
        from ad_cli.pushing import before_a_submit

        before_a_submit(client, [each.spec.dataset for each in plan.submissions])
    submitted = client.submit(plan.submissions)
    _show_submitted(submitted, plan, wait=wait)
    if wait:
        from ad_cli.watching import watch_to_the_end

        raise typer.Exit(watch_to_the_end(client, submitted.jobs))


def _show_submitted(submitted: Submitted, plan: Plan, *, wait: bool) -> None:
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
                **_outlook_json(plan),
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
    for line in outlook(plan):
        out.note(line)
    if not wait:
        out.note(f"watch it with: adctl watch {first.id}")


def outlook(plan: Plan) -> list[str]:
    """Return what can be said before a job runs: how a clone differs, its device, how long it will take."""
    lines = []
    if plan.cloned is not None:
        but = ", ".join(
            f"{name} {shapes.typed(new)} (was {shapes.typed(old)})"
            for name, (old, new) in plan.differs.items()
        )
        lines.append(f"as job {plan.cloned.id}" + (f", but for {but}" if but else ", with nothing changed"))
    lines.append(f"device: {plan.device.words}")
    if plan.submissions[0].memory_from:
        lines.append(f"memory: {shapes.memory_words(plan.submissions[0])}; another amount: --memory SIZE")
    if time := _time(plan):
        lines.append(f"time: {time}")
    return lines


def _time(plan: Plan) -> str:
    """Return how long each job will take, as far as past ones tell."""
    names = {JobKind.TRAIN: "to train", JobKind.EVALUATE: "to evaluate"}
    told = [
        f"{estimate.words} {names[each.spec.kind]}"
        for each, estimate in zip(plan.submissions, plan.estimates, strict=True)
        if estimate is not None
    ]
    return ", then ".join(told)


def _outlook_json(plan: Plan) -> dict[str, Json]:
    estimates: list[Json] = [
        None if each is None else {"seconds": each.seconds, "runs": each.runs, "words": each.words}
        for each in plan.estimates
    ]
    told: dict[str, Json] = {
        "device": {"kind": plan.device.kind, "words": plan.device.words},
        "estimates": estimates,
    }
    if plan.cloned is not None:
        told["from"] = plan.cloned.id
        told["differs"] = {name: {"was": old, "is": new} for name, (old, new) in plan.differs.items()}
    return told


def _show_plan(plan: Plan) -> None:
    if out.as_json():
        outlook_json = _outlook_json(plan)
        estimates = outlook_json.pop("estimates")
        assert isinstance(estimates, list)
        jobs: list[Json] = [
            {**_planned_json(each), "estimate": estimate, "outlook": outlook_json}
            for each, estimate in zip(plan.submissions, estimates, strict=True)
        ]
        out.data(jobs)
        return
    spec = plan.submissions[0].spec
    if out.quiet():
        out.text(spec.key)
        return
    counts = plan.found.counts(spec.holdout) if plan.found is not None else ""
    out.pairs(
        {
            "detector": spec.detector,
            "preset": spec.preset or "-",
            "data": f"{spec.dataset.dataset}/{spec.dataset.category}" + (f" ({counts})" if counts else ""),
            "holdout": spec.holdout,
            "fingerprint": spec.dataset.fingerprint,
            "seed": str(spec.seed),
            "device": plan.device.words,
            "time": _time(plan) or "unknown: nothing like it has run yet",
            **_scheduling(plan.submissions[0]),
            **({"attacks": "; ".join(each.words for each in spec.attacks)} if spec.attacks else {}),
            "jobs": ", ".join(submission.spec.kind.value for submission in plan.submissions),
            **{f"  {name}": shapes.typed(value) for name, value in sorted(spec.config.items())},
        }
    )
    if plan.cloned is not None:
        out.note(outlook(plan)[0])
    out.note("nothing was submitted")


def _planned_json(submission: Submission) -> dict[str, Json]:
    return {
        **submission.spec.to_json(),
        "key": submission.spec.key,
        "scheduling": {
            "name": submission.name,
            "tags": dict(submission.tags),
            "group": submission.group,
            "queue": submission.queue,
            "priority": submission.priority,
            "max_attempts": submission.max_attempts,
            "timeout": submission.timeout,
            "gpus": submission.gpus,
            "memory_mb": submission.memory_mb,
            "memory_from": submission.memory_from,
            "preemptible": submission.preemptible,
        },
    }


def _scheduling(submission: Submission) -> dict[str, str]:
    """Return what was said of how it is to be run."""
    said = {
        "name": submission.name,
        "tags": " ".join(f"{name}={value}" for name, value in submission.tags.items()),
        "group": submission.group or "",
        "queue": f"{submission.queue}, priority {submission.priority}",
        "gpus": str(submission.gpus) if submission.gpus else "",
        "memory": shapes.memory_words(submission),
        "preemptible": "yes" if submission.preemptible else "",
        "time limit": exact(submission.timeout) if submission.timeout is not None else "",
    }
    return {name: value for name, value in said.items() if value}
