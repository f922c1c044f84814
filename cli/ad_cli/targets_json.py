"""What a word on the command line stands for, as JSON: a job, a sweep or a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_cli import session, shapes
from ad_cli.benchmarks.words import benchmark_json
from ad_cli.sweeps.words import sweep_json
from ad_platform.records import Benchmark, Job, Study

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.specs import Json
    from ad_platform.sweeps.steering import Sweeps


def as_json(client: Client, sweeps: Sweeps, one: Job | Study | Benchmark) -> dict[str, Json]:
    """Return what was found as JSON."""
    if isinstance(one, Job):
        return shapes.job_json(one)
    if isinstance(one, Study):
        return sweep_json(sweeps.view(one))
    return benchmark_json(session.benchmarks(client).view(one))
