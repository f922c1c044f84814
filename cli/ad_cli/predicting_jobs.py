"""Predictions as jobs: submitted, and their results gathered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_cli import out, shapes
from ad_cli.exits import Exit
from ad_cli.predicting import stdin
from ad_cli.predictions import JSONL, AsJson, shown_as
from ad_cli.progress import Progress
from ad_platform.errors import InvalidData

if TYPE_CHECKING:
    from ad_cli.predicting import Given
    from ad_platform.client import Client
    from ad_platform.predictions import Gathered
    from ad_platform.records import Job
    from ad_platform.requests import Submitted
    from ad_platform.specs import PictureAsk
    from ad_workers.predicting.asking import Asked
    from ad_workers.predicting.submitting import Sent


def sent(given: Given, *, tags: Mapping[str, str]) -> Sent:
    """Return how a prediction is to be run as a job, from the options that say so."""
    from ad_platform.requests import Scheduling
    from ad_platform.wishes import Wish, scheduled
    from ad_workers.predicting.submitting import Sent

    names = ("name", "group", "queue", "priority", "max_attempts", "timeout", "key")
    said: dict[str, Any] = {name: given[f"--{name.replace('_', '-')}"] for name in names}
    said |= {"memory_mb": given["--memory"], "preemptible": given["--preemptible"] or None}
    shard = given["--shard"]
    return Sent(
        shard=shard if isinstance(shard, int) else None,
        shared=bool(given["--shared"]),
        push=bool(given["--push"]),
        scheduling=scheduled(Wish(**said, tags=tags), Scheduling()),
    )


def submit(client: Client, asked: Asked, sent: Sent, *, wait: bool) -> Exit:
    """Submit a prediction and say what became of it; with `wait`, watch it until it has ended."""
    from ad_workers.predicting.asking import Place
    from ad_workers.predicting.submitting import submit as send

    submitted = send(client, asked, sent, Place(stdin=stdin()))
    _say(submitted, wait=wait)
    if not wait:
        return Exit.OK
    from ad_cli.watching import watch_to_the_end

    code = watch_to_the_end(client, submitted.jobs)
    if code is Exit.OK:
        _point_to_results(submitted.jobs[0])
    return code


def results(client: Client, text: str, to: Path | None, form: str, *, overwrite: bool) -> Exit:
    """Print what a prediction has scored; raise InvalidData at the end for what could not be scored."""
    from ad_platform import predictions
    from ad_workers.predicting.gathering import gathered

    found = predictions.gather(client, client.job(text))
    shown = shown_as(
        form, Progress(found.count), width=_width(found), painted=to is not None and _drawn(found)
    )
    rows = gathered(client, found, to, JSONL if form == JSONL else "csv", overwrite=overwrite)
    shown.all_of((each, found.cut) for each in rows)
    if isinstance(shown, AsJson):
        where = {"out": str(to) if to else None, "whole": found.whole}
        out.data({"job": found.job.id, "threshold": found.cut, **where, "images": shown.images})
    out.note(shown.counts or "nothing is scored yet")
    if to is not None:
        out.note(f"all of it is in {to}")
    if not found.whole:
        _say_how_far(found)
    if shown.failed:
        raise InvalidData(f"{shown.failed} of {found.count} images could not be scored")
    return Exit.OK


def _say(submitted: Submitted, *, wait: bool) -> None:
    for warning in submitted.warnings:
        out.warn(warning)
    job = submitted.jobs[0]
    if wait and out.as_json():
        return  # the watch tells everything, one JSON line per change
    if out.as_json():
        jobs = [shapes.job_json(each) for each in submitted.jobs]
        out.data({"jobs": list(jobs), "rung": submitted.rung, "warnings": list(submitted.warnings)})
        return
    if out.quiet():
        out.text(job.id)
        return
    asked = job.spec.pictures
    assert asked is not None
    out.text(f"{job.id}  {shapes.title(job)}: {job.state}")
    out.note(f"{asked.count} images in {job.spec.dataset.path}: {judged(asked)}")
    if not wait:
        out.note(f"watch it with: adctl watch {job.id}")
        _point_to_results(job)


def judged(asked: PictureAsk) -> str:
    """Say from which score on a picture is anomalous, and by what right."""
    value = (asked.threshold or {}).get("threshold")
    if not isinstance(value, int | float):
        return f"no threshold, since {asked.threshold_source}"
    return f"anomalous above {value:.6g} ({asked.threshold_source})"


def _point_to_results(job: Job) -> None:
    out.note(f"its results, also while it runs: adctl results {job.id[: shapes.SHORT]} --out DIR")


def _say_how_far(found: Gathered) -> None:
    job = found.job
    far = f"{found.count} of {found.ask.count} images are scored"
    if job.state.terminal:
        out.warn(f"{far}: job {job.id} is {job.state}; it goes on with: adctl retry {job.id[: shapes.SHORT]}")
    else:
        out.warn(f"{far} so far; job {job.id} is {job.state}")


def _width(found: Gathered) -> int:
    """Return a width for the column of paths: those of later parts are not known when the first is shown."""
    return len(found.job.spec.dataset.path) + 1 + len("000000.png")


def _drawn(found: Gathered) -> bool:
    return found.ask.overlays
