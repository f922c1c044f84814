"""How jobs, workers and champions look as JSON and as the cells of a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from ad_cli.measures import IMAGE_AUROC, in_order, short
from ad_platform.rungs import beside_rungs, seen_of
from ad_platform.states import JobKind, JobState

if TYPE_CHECKING:
    from ad_platform.records import Attempt, Champion, Event, Holding, Job, WorkerRecord
    from ad_platform.specs import Json, Submission

SHORT = 8  # characters of an id that people are shown
COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "running": "yellow",
    "cancelling": "yellow",
    "cancelled": "dim",
    "pruning": "yellow",
    "pruned": "dim",
    "waiting": "dim",
    "finished": "green",  # as sweeps stand
    "paused": "yellow",
    "stopped": "dim",
}
UNITS = (("d", 86400), ("h", 3600), ("m", 60))
WORKER_COLUMNS = ("ID", "NODE", "STATE", "BUSY", "SLOTS", "QUEUES", "SEEN")


def job_json(job: Job) -> dict[str, Json]:
    """Return a job as JSON; `kind` and `spec.key` are added to what the store remembers."""
    value = cast("dict[str, Json]", asdict(job))
    return {**value, "kind": job.kind.value, "spec": {**job.spec.to_json(), "key": job.spec.key}}


def record_json(record: Attempt | Event | WorkerRecord | Champion | Holding) -> dict[str, Json]:
    """Return a record as JSON."""
    return cast("dict[str, Json]", asdict(record))


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


def held_lines(workers: Iterable[WorkerRecord]) -> list[str]:
    """Return a line for each card that other people's processes keep from jobs, or whose driver is silent."""
    from ad_platform.offers import held_cards

    return [
        f"{worker.id}: {card.words}"
        for worker in workers
        if worker.state == "online"
        for card in held_cards(worker)
    ]


def title(job: Job) -> str:
    """Return what a job is: "train ddad on mvtec/bottle"."""
    data = job.spec.dataset
    return f"{job.kind} {job.spec.detector} on {data.dataset}/{data.category}"


def called(job: Job) -> str:
    """Return how a job is named in a line about it: its short id, and what it is."""
    return f"{job.id[:SHORT]}  {title(job)}"


def state_words(job: Job) -> str:
    """Return the state, with what is about to happen to it, and by whom it was ended."""
    if job.pruned:
        return "pruned"
    if job.state.terminal:
        return job.state.value
    if job.cancel_requested:
        return "cancelling"
    return "pruning" if job.prune_requested else job.state.value


def memory_words(asked: Job | Submission) -> str:
    """Return how much memory is asked for, and where that comes from if nobody said so."""
    if not asked.memory_mb:
        return ""
    from ad_platform import memory

    source = f" ({asked.memory_from})" if asked.memory_from else ""
    return memory.words(asked.memory_mb) + source


def progress_words(job: Job) -> str:
    """Return how far a job has come, or what it ended with."""
    if job.state is JobState.SUCCEEDED:
        return headline(job) or "done"
    if job.state is JobState.FAILED and job.failure:
        return job.failure.value
    if job.pruned:
        return seen_words(job) or "-"
    return percent(job) or "-"


def percent(job: Job) -> str:
    """Return how far a job has come as "340/1000 (34%)", or "" if it has not said."""
    done = job.progress
    return f"{done.step}/{done.of} ({100 * done.step // done.of}%)" if done.of else ""


def headline(job: Job) -> str:
    """Return the one measure of an ended job that matters most, short: "AUROC 0.9413"."""
    seen = seen_of(job)
    if seen is not None:
        return "" if seen.value is None else short(seen.metric, seen.value)
    if job.kind is JobKind.EVALUATE:
        found = result_metrics(job).get(IMAGE_AUROC)
        return f"AUROC {'n/a' if found is None else f'{found:.4f}'}"
    first = next(iter(in_order(result_metrics(job)).items()), None)
    return f"{first[0].rpartition('/')[2]} {first[1]:.4g}" if first else ""


def seen_words(job: Job) -> str:
    """Return what was seen of a trial that was not finished: "rung 3 0.812"."""
    seen = seen_of(job)
    return f"rung {len(seen.rungs)} {seen.rungs[-1]:.3f}" if seen is not None and seen.rungs else ""


def shortest(ids: Iterable[str]) -> int:
    """Return how many characters tell these ids apart: a few, or more where they begin alike."""
    texts = set(ids)
    enough = range(SHORT, max(map(len, texts), default=0))
    return next((n for n in enough if len({text[:n] for text in texts}) == len(texts)), SHORT)


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
    """Return the few metrics that matter most as "name value"; of rungs the newest estimate says enough."""
    found = list(in_order(beside_rungs(metrics)).items())[:most]
    return "  ".join(f"{name} {value:.4g}" for name, value in found)


def typed(value: Json) -> str:
    """Return a setting as `-S` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(typed(each) for each in value) if isinstance(value, list) else str(value)


def ago(at: float, now: float | None = None) -> str:
    """Return how long ago something was, short."""
    return span((time.time() if now is None else now) - at) if at else "-"


def coarse(seconds: float) -> str:
    """Return a length of time in its largest unit alone: 12s, 3m, 5h, 2d."""
    whole = max(0, int(seconds))
    return next((f"{whole // size}{unit}" for unit, size in UNITS if whole >= size), f"{whole}s")


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
