"""Benchmarks among the jobs of `adctl list`, each as one row in the place of all its jobs."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from ad_cli import shapes
from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec

if TYPE_CHECKING:
    from ad_cli.listing import Listed
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.records import Benchmark
    from ad_platform.requests import GroupFilter


def rows(
    benchmarks: Benchmarks, wanted: GroupFilter, limit: int, listed: Listed
) -> list[tuple[float, tuple[str, ...]]]:
    """Return when each of the first that fit was submitted, and its cells below the columns of jobs."""
    every = ((one, BenchmarkSpec.from_json(one.spec)) for one in benchmarks.each(**wanted))
    fitting = ((one, spec) for one, spec in every if _fits(spec, wanted))
    return [(one.created_at, _cells(benchmarks, one, spec, listed)) for one, spec in islice(fitting, limit)]


def _fits(spec: BenchmarkSpec, wanted: GroupFilter) -> bool:
    pairs = (
        (wanted.get("detector"), [one.detector for one in spec.models]),
        (wanted.get("dataset"), [one.data.dataset for one in spec.categories]),
        (wanted.get("category"), [one.data.category for one in spec.categories]),
    )
    return all(want is None or want.casefold() in map(str.casefold, have) for want, have in pairs)


def _cells(
    benchmarks: Benchmarks, benchmark: Benchmark, spec: BenchmarkSpec, listed: Listed
) -> tuple[str, ...]:
    standing, categories = benchmarks.standing(benchmark), spec.categories
    inside = categories[0].label if len(categories) == 1 else f"{len(categories)} categories"
    return (
        benchmark.id[: shapes.shortest(job.id for job in listed.jobs)],
        standing.state,
        "benchmark",
        "+".join(dict.fromkeys(one.detector for one in spec.models)),
        f"{'+'.join(spec.datasets)}/{inside}",
        f"{standing.done}/{standing.cells}" + (f" {standing.failed} failed" if standing.failed else ""),
        shapes.coarse(time.time() - benchmark.created_at),
        benchmark.name,
    )
