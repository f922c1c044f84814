"""Puts sweeps and benchmarks among the jobs of `adctl list`, each as one row in the place of its jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from ad_cli import listing, shapes
from ad_cli.benchmarks import listing as benchmark_listing
from ad_cli.sweeps import words
from ad_platform.states import StudyState
from ad_platform.sweeps.study_spec import StudySpec

if TYPE_CHECKING:
    from ad_cli.listing import Listed, Wanted
    from ad_cli.tables import Column
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.client import Client
    from ad_platform.requests import GroupFilter
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.viewing import SweepView

# Filters that a sweep or benchmark can be looked at by as well; any other is about single jobs.
SHARED = {"detector", "dataset", "category", "user"}


@dataclass(frozen=True, kw_only=True)
class Together:
    """The rows of a list that has sweeps or benchmarks in it."""

    columns: Sequence[Column]
    rows: Sequence[tuple[str, ...]]
    more: bool
    groups: int  # how many of the rows are sweeps or benchmarks


def fits(wanted: Wanted) -> bool:
    """Say whether a list may show sweeps and benchmarks: newest first, nothing asked that only jobs have."""
    asked = {name for name, value in wanted.filter.items() if value}
    return wanted.sort.lower() == "age" and asked <= SHARED


def together(client: Client, sweeps: Sweeps, benchmarks: Benchmarks, wanted: Wanted) -> Together:
    """Return the jobs that were asked for, and in the place of those of a sweep or benchmark that."""
    groups = _group_filter(wanted)
    every = (study for study in sweeps.each(**groups) if _fits(StudySpec.from_json(study.spec), groups))
    views = [sweeps.brief(study) for study in islice(every, wanted.limit + 1)]
    without = wanted.filter.copy()
    without["without_sweeps"] = True
    listed = listing.find(client, replace(wanted, filter=without))
    aged = [(job.created_at, listing.cells(job, listed)) for job in listed.jobs]
    found = [(view.study.created_at, _cells(view, listed)) for view in views]
    found += benchmark_listing.rows(benchmarks, groups, wanted.limit + 1, listed)
    aged += found
    aged.sort(key=lambda one: one[0], reverse=not wanted.reverse)
    return Together(
        columns=listing.columns(listed),
        rows=[cells for _, cells in aged[: wanted.limit]],
        more=listed.more or len(aged) > wanted.limit,
        groups=len(found),
    )


def _group_filter(wanted: Wanted) -> GroupFilter:
    asked = wanted.filter
    return {
        "user": asked.get("user"),
        "detector": asked.get("detector"),
        "dataset": asked.get("dataset"),
        "category": asked.get("category"),
        "since": wanted.since,
        "oldest_first": wanted.reverse,
    }


def _fits(spec: StudySpec, wanted: GroupFilter) -> bool:
    data = spec.job.dataset
    pairs = (
        (wanted.get("detector"), spec.job.detector),
        (wanted.get("dataset"), data.dataset),
        (wanted.get("category"), data.category),
    )
    return all(want is None or want.casefold() == have.casefold() for want, have in pairs)


def _cells(view: SweepView, listed: Listed) -> tuple[str, ...]:
    """Return the cells of a sweep's row, below the columns of jobs."""
    study, data = view.study, view.spec.job.dataset
    return (
        study.id[: shapes.shortest(job.id for job in listed.jobs)],
        study.state.value,
        "sweep",
        view.spec.job.detector,
        f"{data.dataset}/{data.category}",
        _standing(view),
        shapes.coarse(time.time() - study.created_at),
        study.name,
    )


def _standing(view: SweepView) -> str:
    """Say in twelve characters how far a sweep is, and what its best is once it has ended."""
    far = f"{words.ended(view)}/{view.wanted}"
    best = words.best_value(view)
    if view.study.state is StudyState.FINISHED:
        return f"best {best}" if best else far
    return long if best and len(long := f"{far} {best}") <= 12 else far
