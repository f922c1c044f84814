"""How `adctl show` lays out one job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_cli import measures, out, shapes
from ad_platform.addresses import shown
from ad_platform.durations import exact
from ad_platform.errors import InvalidRequest, Unavailable
from ad_platform.policies import SEQUELS
from ad_platform.records import Attempt, Event, Job
from ad_platform.specs import Json
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.settings import Settings

HIDDEN = {None, "", "-"}  # what an event or a fact need not say


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A job and all that belongs to it."""

    job: Job
    attempts: Sequence[Attempt]
    events: Sequence[Event]
    dependents: Sequence[Job]
    files: str  # where its result lies; "" when there is none
    run: str  # the address of its MLflow run; "" where no page shows it now


def look(client: Client, job: Job) -> Whole:
    """Return a job and all that belongs to it."""
    bundle = job.result.get("bundle")
    return Whole(
        job=job,
        attempts=client.attempts(job),
        events=client.events(job),
        dependents=client.dependents(job),
        files=stored(client.settings, bundle) if isinstance(bundle, str) else "",
        run=_run_address(client, job),
    )


def stored(settings: Settings, path: str) -> str:
    """Return where something lies in the storage, without what only a program needs to reach it."""
    return f"{shown(settings.storage_url.partition('?')[0]).rstrip('/')}/{path}"


def _run_address(client: Client, job: Job) -> str:
    from ad_platform.stack import pages

    run_id = client.run_of(job)
    with suppress(Unavailable, InvalidRequest):  # nobody shows it now: that is no reason to show nothing
        return pages.address(client.settings, run_id) if run_id else ""
    return ""


def show_config(job: Job) -> None:
    """Print what `submit train --config` reads back."""
    from ad_platform import run_file

    if out.as_json():
        out.data(shapes.job_json(job)["spec"])
    else:
        out.text(run_file.dump(job).rstrip("\n"))


def show(whole: Whole) -> None:
    """Print a job, as JSON or as text."""
    if out.as_json():
        out.data(_json(whole))
        return
    if out.quiet():
        out.text(f"{whole.job.id} {whole.job.state}")
        return
    state = shapes.state_words(whole.job)
    out.pairs(_facts(whole), {"state": shapes.COLOURS.get(state, "")})
    found = measures.in_order(shapes.result_metrics(whole.job))
    _section("result", measures.measures(whole.job, found))
    if rows := measures.defect_rows(whole.job):
        out.text("")
        out.table(
            ("  DEFECT", *measures.DEFECT_COLUMNS, "FOUND"), [(f"  {name}", *cells) for name, *cells in rows]
        )
    _section("attempts", {str(attempt.number): _attempt(attempt) for attempt in whole.attempts})
    broken = {str(each.number): "; ".join(each.passed_over) for each in whole.attempts if each.passed_over}
    _section("broken, and passed over by attempt", broken)
    _section("settings", {name: shapes.typed(value) for name, value in sorted(whole.job.spec.config.items())})
    if whole.events:
        out.text("\nevents")
        for event in whole.events:
            out.text(f"  {shapes.moment(event.at)}  {event.kind}{_details(event)}")
    if whole.job.state in (JobState.QUEUED, JobState.WAITING):
        out.note(f"why it is not running: adctl why {whole.job.id[: shapes.SHORT]}")


def _json(whole: Whole) -> Json:
    return {
        **shapes.job_json(whole.job),
        "attempts": [shapes.record_json(attempt) for attempt in whole.attempts],
        "events": [shapes.record_json(event) for event in whole.events],
        "dependents": [job.id for job in whole.dependents],
        "files": whole.files or None,
        "run": whole.run or None,
    }


def _facts(whole: Whole) -> dict[str, str]:
    job, spec = whole.job, whole.job.spec
    code = " ".join(f"{name} {value[:12]}" for name, value in job.code.items())
    facts = {
        "id": job.id,
        "name": job.name,
        "kind": job.kind.value,
        "state": shapes.state_words(job),
        "error": job.error,
        "detector": f"{spec.detector}{f' ({spec.preset})' if spec.preset else ''}",
        "data": f"{spec.dataset.dataset}/{spec.dataset.category}  {spec.dataset.fingerprint[:12]}",
        "of model": spec.source or "",
        **_pictures(whole.job),
        "measures": " ".join(spec.measures),
        "attacks": "; ".join(each.words for each in spec.attacks),
        "holdout": spec.holdout,
        "seed": str(spec.seed),
        "device": spec.device,
        "progress": "" if job.state.terminal else shapes.percent(job) or job.progress.message,
        "metrics": "" if job.state.terminal else shapes.metric_words(job.progress.metrics),
        "rungs": "" if job.state is JobState.SUCCEEDED else measures.rung_words(job),
        "queue": f"{job.queue}, priority {job.priority}",
        "gpus": str(job.gpus) if job.gpus else "",
        "memory": shapes.memory_words(job),
        "preemptible": "it may make room for more urgent jobs" if job.preemptible else "",
        "group": job.group or "",
        "failures": f"{job.failures} of {job.max_attempts}" if job.failures else "",
        "time limit": exact(job.timeout) if job.timeout is not None else "",
        "batches": f"computed in {job.batch_divisor} parts" if job.batch_divisor > 1 else "",
        "worker" if job.state is not JobState.QUEUED else "last worker": job.worker or "",
        "needs": " ".join(job.needs),
        "needed by": " ".join(f"{other.id} ({other.kind}, {other.state})" for other in whole.dependents),
        "retry of": job.retry_of or "",
        "tags": " ".join(f"{name}={value}" for name, value in job.tags.items()),
        "user": job.user,
        "code": code,
        "submitted": shapes.moment(job.created_at),
        "started": shapes.moment(job.started_at),
        "ended": f"{shapes.moment(job.finished_at)}{_took(job)}" if job.finished_at else "",
        "files": whole.files,
        "mlflow": whole.run,
    }
    return {name: value for name, value in facts.items() if value not in HIDDEN}


def _pictures(job: Job) -> dict[str, str]:
    """Return what a prediction scores, and by which threshold."""
    asked = job.spec.pictures
    if asked is None:
        return {}
    from ad_cli.predicting_jobs import judged

    return {"images": f"{asked.count} in {job.spec.dataset.path}", "threshold": judged(asked)}


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" after {shapes.span(job.finished_at - job.started_at)}"


def _attempt(attempt: Attempt) -> str:
    took = f" after {shapes.span(attempt.ended_at - attempt.started_at)}" if attempt.ended_at else ""
    outcome = attempt.outcome.replace("_", " ")
    failure = attempt.failure.value if attempt.failure else ""
    # "lost" is the name of both, and "failed: lost" would say less than either.
    how = f"{outcome} ({failure})" if failure not in ("", outcome) else outcome
    line = f"{how}{took} on {attempt.worker}" + (f": {attempt.error}" if attempt.error else "")
    parts = attempt.facts.get("batch_divisor", 1)
    halved = f"; its batches were computed in {parts} parts" if parts != 1 else ""
    made = f"; {SEQUELS[attempt.sequel]}" if attempt.sequel is not None else ""
    return f"{line}{halved}{made}"


def _details(event: Event) -> str:
    words = " ".join(f"{name}={value}" for name, value in event.data.items() if value not in (None, "", {}))
    return f"  {words}" if words else ""


def _section(title: str, values: dict[str, str]) -> None:
    if values:
        out.text(f"\n{title}")
        out.pairs({f"  {name}": value for name, value in values.items()})
