"""Shows jobs until they end: live bars on a terminal, else one line per change."""

from collections.abc import Sequence

from ad_cli import out, shapes
from ad_cli.exits import Exit
from ad_platform.client import Client
from ad_platform.records import Job
from ad_platform.requests import Snapshot
from ad_platform.states import JobState


def watch_to_the_end(client: Client, jobs: Sequence[Job]) -> Exit:
    """Show jobs until all have ended, print their results and return the exit code that tells how."""
    ids = [job.id for job in jobs]
    try:
        if out.as_json():
            last = _stream(client, ids)
        elif out.lively() and not out.quiet():
            last = _bars(client, ids)
        else:
            last = _lines(client, ids)
    except KeyboardInterrupt:
        first = ids[0]
        out.note(f"\nit goes on: look again with `adctl watch {first}`, end it with `adctl cancel {first}`")
        return Exit.INTERRUPTED
    if not out.as_json():
        for job in last:
            _print_end(job)
    return end_code(last)


def end_code(jobs: Sequence[Job]) -> Exit:
    """Return the exit code that tells how jobs ended; a failure outweighs a cancel."""
    states = {job.state for job in jobs}
    if JobState.FAILED in states:
        return Exit.JOB_FAILED
    return Exit.JOB_CANCELLED if JobState.CANCELLED in states else Exit.OK


def _stream(client: Client, ids: Sequence[str]) -> tuple[Job, ...]:
    seen: dict[str, Job] = {}
    for snapshot in client.watch(ids):
        for job in snapshot.jobs:
            if seen.get(job.id) != job:
                out.line(shapes.job_json(job))
                seen[job.id] = job
    return tuple(seen[job_id] for job_id in ids)


def _lines(client: Client, ids: Sequence[str]) -> tuple[Job, ...]:
    seen: dict[str, str] = {}
    last = Snapshot(jobs=())
    for last in client.watch(ids):
        words = {job.id: change_words(job) for job in last.jobs}
        if last.trouble:
            words["trouble"] = last.trouble
        for key, line in words.items():
            if seen.get(key) != line:
                out.note(line)
        seen = words
    return last.jobs


def _bars(client: Client, ids: Sequence[str]) -> tuple[Job, ...]:
    from ad_cli.bars import Bars

    last = Snapshot(jobs=())
    with Bars() as bars:
        for last in client.watch(ids):
            bars.show(last)
    return last.jobs


def change_words(job: Job) -> str:
    """Say in one line how a job stands."""
    attempt = f" attempt {job.attempt}" if job.attempt > 1 else ""
    state = f"{job.id}  {job.kind} {shapes.state_words(job)}{attempt}"
    done = job.progress
    if job.state is JobState.RUNNING and done.of:
        return f"{state}  {shapes.progress_words(job)}  {shapes.metric_words(done.metrics)}".rstrip()
    return f"{state}: {job.error}" if job.error and not job.state.terminal else state


def _print_end(job: Job) -> None:
    if job.state is JobState.SUCCEEDED:
        words = shapes.metric_words(shapes.result_metrics(job)) or "done"
    else:
        words = ": ".join(part for part in (str(job.failure or ""), job.error) if part)
    out.text(f"{job.id}  {job.kind} {job.state}  {words}".rstrip())
