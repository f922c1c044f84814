"""Ends jobs, sweeps and benchmarks, and says what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_cli import out, session, shapes, targets
from ad_cli.benchmarks import steering as benchmark_steering
from ad_cli.sweeps import words
from ad_cli.targets_json import as_json
from ad_platform.errors import Conflict, InvalidRequest
from ad_platform.records import Benchmark, Job, Study
from ad_platform.states import JobKind, JobState, StudyState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.sweeps.steering import Sweeps

OPEN = [state for state in JobState if not state.terminal]
ENDED = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
}


def chosen(
    client: Client, sweeps: Sweeps, texts: Sequence[str], states: Sequence[JobState], *, everything: bool
) -> Sequence[str]:
    """Return what to cancel, by id; raise InvalidRequest for a call that names nothing or too much."""
    if not everything:
        if states:
            raise InvalidRequest("--state chooses among --all; add --all, or name the jobs")
        if not texts:
            raise InvalidRequest(
                "which job? give its id, its first characters or @last; adctl list shows them"
            )
        return texts
    if texts:
        raise InvalidRequest("give jobs or --all, not both")
    if ended := [state for state in states if state.terminal]:
        raise InvalidRequest(f"what has {ended[0]} cannot be cancelled; --state takes {', '.join(OPEN)}")
    user = client.settings.user
    # A sweep asks for more in the place of what is cancelled of it, so it ends as a whole.
    studies = [] if states else [view.study for view in sweeps.list()]
    open_studies = (StudyState.RUNNING, StudyState.PAUSED)
    whole = [study.id for study in studies if study.state in open_studies and study.user == user]
    whole += [] if states else _open_benchmarks(client)
    mine = client.jobs(states=states or OPEN, user=user, without_sweeps=not states, limit=100_000)
    if not whole and not mine:
        out.note("nothing of yours is " + ", ".join(states or OPEN))
    # What needs another job comes first, so that it ends cancelled and not for want of it.
    return [*whole, *(job.id for job in mine)]


def cancel(client: Client, sweeps: Sweeps, texts: Sequence[str]) -> int:
    """End each of these, print how they stand, and return the exit code."""
    done, first_error = targets.each(texts, lambda text: _cancel(client, sweeps, text))
    ended = {one.id for one in done}
    fallen = [
        other
        for one in done
        if isinstance(one, Job)
        for other in client.dependents(one)
        if other.state is JobState.FAILED and other.id not in ended
    ]
    if out.as_json():
        out.data([as_json(client, sweeps, one) for one in done])
    else:
        for one in done:
            out.text(_words(client, sweeps, one))
    for other in fallen:
        out.note(f"{shapes.called(other)}: cannot run without it and ended too")
    return first_error


def _open_benchmarks(client: Client) -> list[str]:
    """Return the benchmarks of this user that have anything left to do, by id."""
    benchmarks, user = session.benchmarks(client), client.settings.user
    return [one.id for one in benchmarks.list() if one.user == user and benchmarks.open_jobs(one)]


def _words(client: Client, sweeps: Sweeps, one: Job | Study | Benchmark) -> str:
    if isinstance(one, Job):
        return one.id if out.quiet() else f"{shapes.called(one)}: {shapes.state_words(one)}"
    if isinstance(one, Benchmark):
        return benchmark_steering.ended(session.benchmarks(client).view(one))
    if out.quiet():
        return one.name
    view = sweeps.view(one)
    told = f"; what runs was told to end: {view.running}" if view.running else ""
    return f"{one.name}  sweep {words.title(view.spec)}: {one.state}{told}"


def _cancel(client: Client, sweeps: Sweeps, text: str) -> Job | Study | Benchmark:
    found = targets.find(client, sweeps, text)
    if isinstance(found, Benchmark):
        return session.benchmarks(client).cancel(found.id).benchmark
    if isinstance(found, Study):
        return sweeps.cancel(found.id)
    if found.state.terminal:
        how = "was pruned" if found.pruned else ENDED[found.state]
        raise Conflict(f"job {found.id} {how} already; there is nothing to cancel")
    if found.kind is JobKind.TRIAL:
        out.note(
            f"it is a trial of sweep {found.group}, which goes on; all of it: adctl cancel {found.group}"
        )
    return client.cancel(found.id)
