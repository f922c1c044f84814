"""How far a trial's job has come: what its first measure is estimated at, rung by rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_platform.states import JobKind

if TYPE_CHECKING:
    from ad_platform.records import Job

RUNG = "rung/"  # what a trial's job reports beside the measure's own name: rung/1, rung/2, ...


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a trial's first measure."""

    metric: str
    value: float | None  # the newest estimate; of a job that has succeeded the measure itself
    rungs: tuple[float, ...]  # the estimate at the end of each rung so far


def seen_of(job: Job) -> Seen | None:
    """Return what is known of a trial's first measure; None of a job of another kind."""
    if job.kind is not JobKind.TRIAL or not job.spec.measures:
        return None
    first = job.spec.measures[0]
    told, measured = job.progress.metrics, job.result.get("metrics")
    value = measured.get(first) if isinstance(measured, Mapping) else told.get(first)
    return Seen(
        metric=first,
        value=float(value) if isinstance(value, int | float) else None,
        rungs=rungs_of(told),
    )


def rungs_of(metrics: Mapping[str, float]) -> tuple[float, ...]:
    """Return the estimates at the rungs among what a job reported, the first rung's first."""
    found: list[float] = []
    while (name := f"{RUNG}{len(found) + 1}") in metrics:
        found.append(metrics[name])
    return tuple(found)


def beside_rungs(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what a job reported without its rungs."""
    return {name: value for name, value in metrics.items() if not name.startswith(RUNG)}


def no_model(job: Job) -> str:
    """Say that a trial has no model, and what to do."""
    return (
        f"job {job.id} is a trial, which leaves measures and no model; take the best one of its study: "
        f"adctl promote {job.group or 'SWEEP'} --best, or train with its settings: "
        f"adctl submit train --from {job.id}"
    )
