"""How `adctl show` lays out one job."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_cli import measures, out, shapes
from ad_platform.records import Attempt, Event, Job
from ad_platform.specs import Json


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A job and all that belongs to it."""

    job: Job
    attempts: Sequence[Attempt]
    events: Sequence[Event]
    dependents: Sequence[Job]


def show(whole: Whole) -> None:
    """Print a job, as JSON or as text."""
    if out.as_json():
        out.data(_json(whole))
        return
    if out.quiet():
        out.text(f"{whole.job.id} {whole.job.state}")
        return
    out.pairs(_facts(whole))
    _section("settings", {name: str(value) for name, value in sorted(whole.job.spec.config.items())})
    found = measures.in_order(shapes.result_metrics(whole.job))
    _section("result", measures.measures(whole.job, found))
    if rows := measures.defect_rows(whole.job):
        out.text("")
        out.table(("  DEFECT", *measures.DEFECT_COLUMNS), [(f"  {name}", *cells) for name, *cells in rows])
    _section("attempts", {str(attempt.number): _attempt(attempt) for attempt in whole.attempts})
    if whole.events:
        out.text("\nevents")
        for event in whole.events:
            out.text(f"  {shapes.moment(event.at)}  {event.kind}{_details(event)}")


def _json(whole: Whole) -> Json:
    return {
        **shapes.job_json(whole.job),
        "attempts": [shapes.record_json(attempt) for attempt in whole.attempts],
        "events": [shapes.record_json(event) for event in whole.events],
        "dependents": [job.id for job in whole.dependents],
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
        "holdout": spec.holdout,
        "seed": str(spec.seed),
        "device": spec.device,
        "progress": shapes.progress_words(job),
        "metrics": shapes.metric_words(job.progress.metrics),
        "queue": f"{job.queue}, priority {job.priority}",
        "failures": f"{job.failures} of {job.max_attempts}" if job.failures else "",
        "worker": job.worker or "",
        "needs": " ".join(job.needs),
        "needed by": " ".join(f"{other.id} ({other.kind})" for other in whole.dependents),
        "retry of": job.retry_of or "",
        "tags": " ".join(f"{name}={value}" for name, value in job.tags.items()),
        "user": job.user,
        "code": code,
        "submitted": shapes.moment(job.created_at),
        "started": shapes.moment(job.started_at),
        "ended": shapes.moment(job.finished_at),
    }
    return {name: value for name, value in facts.items() if value not in {"", "-"}}


def _attempt(attempt: Attempt) -> str:
    took = f" after {shapes.span(attempt.ended_at - attempt.started_at)}" if attempt.ended_at else ""
    why = f": {attempt.failure or ''} {attempt.error}".rstrip() if attempt.failure or attempt.error else ""
    return f"{attempt.outcome}{took} on {attempt.worker}{why}"


def _details(event: Event) -> str:
    words = " ".join(f"{name}={value}" for name, value in event.data.items() if value not in (None, "", {}))
    return f"  {words}" if words else ""


def _section(title: str, values: dict[str, str]) -> None:
    if values:
        out.text(f"\n{title}")
        out.pairs({f"  {name}": value for name, value in values.items()})
