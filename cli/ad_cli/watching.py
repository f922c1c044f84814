"""Shows jobs until they end: live bars on a terminal, else one line per change that matters."""

import time
from collections.abc import Callable, Iterator, Sequence

from ad_cli import ending, out, shapes
from ad_cli.change_lines import ChangeLines
from ad_cli.exits import Exit
from ad_cli.hints import Hints
from ad_cli.pace import Pace
from ad_platform.client import Client
from ad_platform.records import Job
from ad_platform.requests import Snapshot
from ad_platform.states import JobState


def watch_to_the_end(
    client: Client, jobs: Sequence[Job], clock: Callable[[], float] = time.monotonic
) -> Exit:
    """Show jobs until all have ended, print their results and return the exit code that tells how."""
    return _watch(client, [job.id for job in jobs], jobs, clock)


def watch_everything(client: Client, clock: Callable[[], float] = time.monotonic) -> Exit:
    """Show all that has not ended, and what is submitted meanwhile, until nothing is left."""
    return _watch(client, None, (), clock)


def end_code(jobs: Sequence[Job]) -> Exit:
    """Return the exit code that tells how jobs ended; a failure outweighs a cancel.

    A pruned trial ended as its study wanted it: that is no cancel.
    """
    states = {job.state for job in jobs if not job.pruned}
    if JobState.FAILED in states:
        return Exit.JOB_FAILED
    return Exit.JOB_CANCELLED if JobState.CANCELLED in states else Exit.OK


def _watch(
    client: Client, ids: Sequence[str] | None, jobs: Sequence[Job], clock: Callable[[], float]
) -> Exit:
    last = Snapshot(jobs=tuple(jobs))
    try:
        for look in _shown(client, client.watch(ids), clock):
            last = look
    except KeyboardInterrupt:
        _say_it_goes_on(last.jobs or tuple(jobs))
        return Exit.INTERRUPTED
    if not last.jobs:
        out.note("nothing is waiting, queued or running")
    elif not out.as_json():
        ending.show_ends(last.jobs)
    return end_code(last.jobs)


def _shown(client: Client, looks: Iterator[Snapshot], clock: Callable[[], float]) -> Iterator[Snapshot]:
    if out.as_json():
        return _stream(looks)
    hints = Hints(client, clock)
    return (_bars if out.lively() and not out.quiet() else _lines)(looks, Pace(clock), hints)


def _stream(looks: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """Print a line of JSON for every change of a job; a lease that was renewed is none."""
    seen: dict[str, object] = {}
    trouble = ""
    for snapshot in looks:
        for job in snapshot.jobs:
            value = shapes.job_json(job)
            known = {**value, "lease_until": None}
            if seen.get(job.id) != known:
                out.line(value)
                seen[job.id] = known
        if snapshot.trouble and not trouble:
            out.note(f"waiting: {snapshot.trouble}")
        trouble = snapshot.trouble
        yield snapshot


def _lines(looks: Iterator[Snapshot], pace: Pace, hints: Hints) -> Iterator[Snapshot]:
    lines = ChangeLines(pace, hints)
    for snapshot in looks:
        for line in lines.of(snapshot):
            out.note(line)
        yield snapshot


def _bars(looks: Iterator[Snapshot], pace: Pace, hints: Hints) -> Iterator[Snapshot]:
    from ad_cli.bars import Bars
    from ad_cli.watch_view import Shown, lines

    with Bars() as bars:
        for snapshot in looks:
            shown = [Shown(job=job, speed=pace.speed(job), hint=hints.of(job).words) for job in snapshot.jobs]
            bars.show(lines(shown, snapshot.trouble, *bars.size))
            yield snapshot


def _say_it_goes_on(jobs: Sequence[Job]) -> None:
    going = {job.id: job for job in jobs if not job.state.terminal}
    # A job that needs one of these goes, and ends, with it.
    heads = [job.id[: shapes.SHORT] for job in going.values() if not going.keys() & set(job.needs)]
    if not heads:
        return
    if len(heads) == 1:
        again, end = f"adctl watch {heads[0]}", f"adctl cancel {heads[0]}"
        out.note(f"\nit goes on: look again with `{again}`, end it with `{end}`")
    else:
        ids = " ".join(heads[:4]) + (" ..." if len(heads) > 4 else "")
        out.note(f"\nthey go on: look again with `adctl watch`, end them with `adctl cancel {ids}`")
