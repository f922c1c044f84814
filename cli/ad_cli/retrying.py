"""Runs ended jobs again, the failed trials of sweeps, and the failed cells of benchmarks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ad_cli import out, session, shapes, targets
from ad_cli.benchmarks import steering as benchmark_steering
from ad_cli.sweeps import steering
from ad_cli.targets_json import as_json
from ad_platform.errors import AmbiguousId, Conflict, UnknownName
from ad_platform.records import Benchmark, Job, Study
from ad_platform.states import JobKind, JobState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.sweeps.steering import Sweeps

PATIENCE = 90.0  # seconds: a lease, and the grace of one who does not let go at once


def retry(client: Client, sweeps: Sweeps, texts: Sequence[str], *, wait: bool) -> int:
    """Run each of these again and return the exit code; with `wait`, watch until all have ended."""
    if wait and len(texts) > 1:
        _no_sweep_among(client, sweeps, texts)
    done, first_error = targets.each(texts, lambda text: _retry(client, sweeps, text))
    if wait and done:
        return _watch(client, sweeps, done) or first_error
    if out.as_json():
        # One job is an object, as it was asked for; several are a list.
        values = [as_json(client, sweeps, one) for one in done]
        out.data(values[0] if len(texts) == 1 and values else list(values))
    return first_error


def _retry(client: Client, sweeps: Sweeps, text: str) -> Job | Study | Benchmark:
    found = targets.find(client, sweeps, text)
    if isinstance(found, Benchmark):
        benchmarks = session.benchmarks(client)
        benchmark_steering.retry(benchmarks, found)
        return benchmarks.find(found.id)
    if isinstance(found, Study):
        steering.retry(sweeps, found)
        return sweeps.find(found.id)
    return _retry_job(client, found)


def _retry_job(client: Client, job: Job) -> Job:
    if job.kind is JobKind.TRIAL:
        which = f"trial {job.tags.get('trial', '')} of sweep {job.group}"
        raise Conflict(
            f"job {job.id} is {which}; its failed trials are run again with: adctl retry {job.group}"
        )
    if job.cancel_requested and not job.state.terminal:
        job = _once_ended(client, job)
    if job.state is JobState.SUCCEEDED:
        raise Conflict(
            f"job {job.id} succeeded; only failed and cancelled jobs are run again "
            f"(for a new one: adctl submit --from {job.id})"
        )
    if not job.state.terminal:
        raise Conflict(f"job {job.id} is {job.state}; it can be retried once it has failed or was cancelled")
    submitted = client.retry(job.id)
    for warning in submitted.warnings:
        out.warn(warning)
    new = submitted.jobs[0]
    if out.quiet():
        out.text(new.id)
    elif not out.as_json():
        out.text(f"{shapes.called(new)}: goes on for {job.id[: shapes.SHORT]}, {new.state}")
    return new


def _once_ended(client: Client, job: Job) -> Job:
    """Return a job that was told to end as it is then; raise Conflict if that takes too long."""
    out.note(f"{job.id[: shapes.SHORT]} is being cancelled; waiting until it has ended")
    give_up = time.monotonic() + PATIENCE
    for look in client.watch(job):
        job = look.jobs[0] if look.jobs else job
        if job.state.terminal:
            return job
        if time.monotonic() > give_up:
            break
    raise Conflict(f"job {job.id} is still being cancelled; what it waits for: adctl why {job.id}")


def _watch(client: Client, sweeps: Sweeps, done: Sequence[Job | Study | Benchmark]) -> int:
    """Watch what was retried: one sweep or benchmark, or jobs with those that need them."""
    if isinstance(done[0], Study):
        from ad_cli.sweeps.watching import watch_sweep

        return watch_sweep(client, sweeps, done[0])
    if isinstance(done[0], Benchmark):
        from ad_cli.benchmarks.watching import watch_benchmark

        return watch_benchmark(client, session.benchmarks(client), done[0])
    from ad_cli.watching import watch_to_the_end

    jobs = [one for one in done if isinstance(one, Job)]
    return watch_to_the_end(client, [*jobs, *(other for job in jobs for other in client.dependents(job))])


def _no_sweep_among(client: Client, sweeps: Sweeps, texts: Sequence[str]) -> None:
    """Raise InvalidRequest for a sweep among several things to wait for."""
    for text in texts:
        with suppress(UnknownName, AmbiguousId):  # that is said when its turn comes
            targets.job(client, sweeps, text, "wait for it by itself: adctl retry {} --wait")
