"""Says what the jobs of a sweep or benchmark do or wait for, all of them together."""

from collections.abc import Sequence

from ad_platform.looking import Looking
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.explaining import explain
from ad_platform.why.telling import listed, work

OPEN = tuple(state for state in JobState if not state.terminal)


def of_jobs(client: Looking, jobs: Sequence[Job]) -> list[Cause]:
    """Say what runs, what keeps the first that is queued, and what the others wait for."""
    found: list[Cause] = []
    of = {state: [job for job in jobs if job.state is state] for state in OPEN}
    if running := of[JobState.RUNNING]:
        told = listed([f"{job.id} ({work(job)})" for job in running])
        words = f"1 job runs: {told}" if len(running) == 1 else f"{len(running)} jobs run: {told}"
        found.append(Cause(kind=Kind.RUNNING, words=words, jobs=tuple(job.id for job in running)))
    if queued := of[JobState.QUEUED]:
        first = explain(client, queued[0])
        count = "1 job is queued:" if len(queued) == 1 else f"{len(queued)} jobs are queued; the first is"
        words = f"{count} {queued[0].id} ({work(queued[0])})"
        ids = tuple(job.id for job in queued)
        found.append(Cause(kind=_first_kind(first.causes), words=words, jobs=ids, because=first.causes))
    for need, waiting in _waiting(of[JobState.WAITING]).items():
        one = client.store.jobs.get(need)
        count = "1 job waits" if len(waiting) == 1 else f"{len(waiting)} jobs wait"
        words = f"{count} for job {need} ({work(one)}), which is {one.state}"
        found.append(Cause(kind=Kind.NEEDS, words=words, jobs=(need,)))
    return found


def _first_kind(causes: Sequence[Cause]) -> Kind:
    return causes[0].kind if causes else Kind.READY


def _waiting(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    """Return the jobs that wait by what they wait for."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        for need in job.needs[:1]:
            found.setdefault(need, []).append(job)
    return found
