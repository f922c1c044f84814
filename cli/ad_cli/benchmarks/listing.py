"""Benchmarks among the jobs of `adctl list`, each as one row in the place of all its jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ad_cli import shapes

if TYPE_CHECKING:
    from ad_cli.listing import Listed, Wanted
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.benchmarks.viewing import BenchmarkView


def rows(benchmarks: Benchmarks, wanted: Wanted, listed: Listed) -> list[tuple[float, tuple[str, ...]]]:
    """Return when each benchmark that fits was submitted, and its cells below the columns of jobs."""
    young = [one for one in benchmarks.list() if wanted.since is None or one.created_at >= wanted.since]
    views = [view for one in young[: wanted.limit] if _fits(view := benchmarks.view(one), wanted)]
    return [(view.benchmark.created_at, _cells(view, listed)) for view in views]


def _fits(view: BenchmarkView, wanted: Wanted) -> bool:
    asked = wanted.filter
    pairs = (
        (asked.get("detector"), [one.detector for one in view.models]),
        (asked.get("dataset"), [one.data.dataset for one in view.categories]),
        (asked.get("category"), [one.data.category for one in view.categories]),
    )
    alike = all(want is None or want.casefold() in map(str.casefold, have) for want, have in pairs)
    return alike and asked.get("user") in (None, view.benchmark.user)


def _cells(view: BenchmarkView, listed: Listed) -> tuple[str, ...]:
    benchmark, categories = view.benchmark, view.categories
    inside = categories[0].label if len(categories) == 1 else f"{len(categories)} categories"
    return (
        benchmark.id[: shapes.shortest(job.id for job in listed.jobs)],
        view.state,
        "benchmark",
        "+".join(dict.fromkeys(one.detector for one in view.models)),
        f"{'+'.join(view.spec.datasets)}/{inside}",
        f"{view.done}/{len(view.cells)}" + (f" {view.failed} failed" if view.failed else ""),
        shapes.coarse(time.time() - benchmark.created_at),
        benchmark.name,
    )
