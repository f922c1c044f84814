"""Puts the explanation of a job together, with those of the jobs it waits for."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.looking import Looking
from ad_platform.records import Job
from ad_platform.states import FailureClass, JobState
from ad_platform.why import forecast
from ad_platform.why.causes import BLOCKING, Cause, Kind, Reasons
from ad_platform.why.ended import attempts_told, ended, failures_told
from ad_platform.why.fitting import missing
from ad_platform.why.queued import keeping, of_queue
from ad_platform.why.remaining import Remaining
from ad_platform.why.running import runs
from ad_platform.why.sharing import never_allowed
from ad_platform.why.situation import Situation, look, nodes_of
from ad_platform.why.telling import work

TOLD = 5  # needs that are explained one by one
_WORDS = {
    JobState.WAITING: "waits itself",
    JobState.QUEUED: "is queued",
    JobState.RUNNING: "is running",
}


@dataclass(frozen=True)
class View:
    """What an explanation is made from."""

    client: Looking
    situation: Situation
    remaining: Remaining


def explain(client: Looking, job: Job) -> Reasons:
    """Say why a job stands where it stands, and when that will change."""
    situation = look(client)
    return _explain(View(client, situation, Remaining(client, situation.now)), job)


def warnings(client: Looking, jobs: Sequence[Job]) -> list[str]:
    """Return what somebody has to do before jobs can run, in the words of their explanations."""
    unfinished = [job for job in jobs if not job.state.terminal and job.state is not JobState.RUNNING]
    if not unfinished:
        return []
    situation = look(client, running=False)
    view = View(client, situation, Remaining(client, situation.now))
    found = [line for job in unfinished for cause in _blocking(view, job) for line in cause.told()]
    return list(dict.fromkeys(found))


def _explain(view: View, job: Job) -> Reasons:
    client, situation = view.client, view.situation
    if job.state is JobState.WAITING:
        return _waiting(view, job)
    if job.state is JobState.QUEUED:
        nodes = nodes_of(client.store, job)
        found = keeping(client, job, situation, nodes, view.remaining)
        return Reasons(
            job=job,
            causes=found.causes,
            past=attempts_told(client, job),
            failures=failures_told(client, job),
            could_run=found.could_run,
            estimate=forecast.of_queued(client, job, found, situation, view.remaining),
        )
    if job.state is JobState.RUNNING:
        return Reasons(
            job=job,
            causes=runs(client, job, situation),
            past=attempts_told(client, job),
            failures=failures_told(client, job),
            estimate=forecast.of_running(job, view.remaining),
        )
    return Reasons(
        job=job,
        causes=(_ended(view, job),),
        past=attempts_told(client, job),
        failures=failures_told(client, job),
    )


def _waiting(view: View, job: Job) -> Reasons:
    needs = [view.client.store.jobs.get(need) for need in job.needs]
    unmet = [need for need in needs if need.state is not JobState.SUCCEEDED]
    told = [_explain(view, need) for need in unmet[:TOLD]]
    causes = [
        Cause(
            kind=Kind.NEEDS,
            words=f"it waits for job {one.job.id} ({work(one.job)}), which {_stands(one.job)}",
            jobs=(one.job.id,),
            because=one.causes,
        )
        for one in told
    ]
    if more := [need.id for need in unmet[TOLD:]]:
        causes.append(Cause(kind=Kind.NEEDS, words=f"it waits for {len(more)} more jobs", jobs=tuple(more)))
    # What keeps a need from running is said there; only what is its own comes here.
    said = {cause.words for one in told for cause in one.causes}
    causes += [cause for cause in _blocking(view, job) if cause.words not in said]
    ends = [one.estimate for one in told] if not more else [None]
    return Reasons(
        job=job,
        causes=tuple(causes),
        estimate=forecast.of_waiting(job, causes, ends, view.remaining),
    )


def _stands(job: Job) -> str:
    return _WORDS.get(job.state, f"is {job.state}")


def _blocking(view: View, job: Job) -> list[Cause]:
    lack = missing(job, view.situation, nodes_of(view.client.store, job))
    found = [*of_queue(job, view.situation), *never_allowed(job, view.situation), *([lack] if lack else [])]
    assert all(cause.kind in BLOCKING for cause in found)
    return found


def _ended(view: View, job: Job) -> Cause:
    cause = ended(view.client, job, view.situation)
    if job.failure is not FailureClass.NEEDS:
        return cause
    needs = [view.client.store.jobs.get(need) for need in job.needs]
    fell = [need for need in needs if need.state in (JobState.FAILED, JobState.CANCELLED)]
    because = tuple(_of_need(view, need) for need in fell[:TOLD])
    return Cause(
        kind=cause.kind,
        words=cause.words,
        advice=cause.advice,
        jobs=tuple(need.id for need in fell),
        because=because,
    )


def _of_need(view: View, need: Job) -> Cause:
    cause = _ended(view, need)
    return Cause(
        kind=cause.kind,
        words=f"job {need.id}: {cause.words}",
        advice=cause.advice,
        jobs=(need.id,),
        because=cause.because,
    )
