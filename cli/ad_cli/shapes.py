"""How jobs, workers and champions look as JSON and as the cells of a table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli.measures import in_order
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.records import Attempt, Champion, Event, Holding, Job, WorkerRecord
    from ad_platform.specs import Json

JOB_COLUMNS = ("ID", "KIND", "STATE", "DETECTOR", "DATA", "PROGRESS", "AGE", "NAME")
WORKER_COLUMNS = ("ID", "NODE", "STATE", "BUSY", "SLOTS", "QUEUES", "SEEN")


def job_json(job: Job) -> dict[str, Json]:
    """Return a job as JSON; `kind` and `spec.key` are added to what the store remembers."""
    value = cast("dict[str, Json]", asdict(job))
    return {**value, "kind": job.kind.value, "spec": {**job.spec.to_json(), "key": job.spec.key}}


def record_json(record: Attempt | Event | WorkerRecord | Champion | Holding) -> dict[str, Json]:
    """Return a record as JSON."""
    return cast("dict[str, Json]", asdict(record))


def job_cells(job: Job, now: float | None = None) -> tuple[str, ...]:
    """Return the cells of a job's row below JOB_COLUMNS."""
    data = job.spec.dataset
    return (
        job.id,
        job.kind.value,
        state_words(job),
        job.spec.detector,
        f"{data.dataset}/{data.category}",
        progress_words(job),
        ago(job.created_at, now),
        job.name,
    )


def worker_cells(worker: WorkerRecord, now: float | None = None) -> tuple[str, ...]:
    """Return the cells of a worker's row below WORKER_COLUMNS."""
    return (
        worker.id,
        worker.node,
        worker.state,
        str(worker.busy),
        str(worker.slots),
        ",".join(worker.queues),
        ago(worker.seen_at, now),
    )


def state_words(job: Job) -> str:
    """Return the state, with what is about to happen to it."""
    return "cancelling" if job.cancel_requested and not job.state.terminal else job.state.value


def progress_words(job: Job) -> str:
    """Return how far a job has come, or what it ended with."""
    if job.state is JobState.SUCCEEDED and (metrics := result_metrics(job)):
        return metric_words(metrics, most=1)
    if job.state is JobState.FAILED and job.failure:
        return job.failure.value
    done = job.progress
    return f"{done.step}/{done.of} ({100 * done.step // done.of}%)" if done.of else "-"


def result_metrics(job: Job) -> dict[str, float]:
    """Return the numbers a job ended with."""
    metrics = job.result.get("metrics")
    found = metrics if isinstance(metrics, Mapping) else job.result
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def metric_words(metrics: Mapping[str, float], most: int = 4) -> str:
    """Return the few metrics that matter most as "name value"."""
    return "  ".join(f"{name} {value:.4g}" for name, value in list(in_order(metrics).items())[:most])


def ago(at: float, now: float | None = None) -> str:
    """Return how long ago something was, short."""
    return span((time.time() if now is None else now) - at) if at else "-"


def span(seconds: float) -> str:
    """Return a length of time, short: 12s, 3m40s, 5h10m, 2d3h."""
    whole = max(0, int(seconds))
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part}{smaller}"
    return f"{whole}s"


def moment(at: float | None) -> str:
    """Return a time of the store's clock in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "-"
