"""Why an ended job ended as it did."""

from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.policies import POLICIES, SEQUELS, why
from ad_platform.records import Attempt, Job
from ad_platform.rungs import seen_of
from ad_platform.states import AttemptOutcome, FailureClass, JobState, Sequel
from ad_platform.why.causes import Cause, Failure, Kind
from ad_platform.why.situation import Situation
from ad_platform.why.telling import ago, because

_KINDS = {
    JobState.SUCCEEDED: Kind.SUCCEEDED,
    JobState.FAILED: Kind.FAILED,
    JobState.CANCELLED: Kind.CANCELLED,
}


def ended(client: Looking, job: Job, situation: Situation) -> Cause:
    """Say how a job ended, with its error and what to do."""
    when = ago(job.finished_at, situation.now) if job.finished_at else "once"
    again = next((e.data.get("job") for e in reversed(client.events(job)) if e.kind == "retried"), None)
    advice = f"job {again} goes on for it" if again else ""
    if job.state is JobState.SUCCEEDED:
        took = sum(one.ended_at - one.started_at for one in client.attempts(job) if one.ended_at)
        words = f"it succeeded {when}, after {span(took)} on worker {job.worker}"
    elif job.pruned:
        return _pruned(job, when)
    elif job.state is JobState.CANCELLED:
        words = f"it was cancelled {when}{because(job.error)}"
        advice = advice or f"go on from its last checkpoint: adctl retry {job.id}"
    else:
        words = f"it failed {when} ({job.failure}){because(job.error)}{_not_again(job)}"
        if job.failure is not None:
            path = job.spec.dataset.path
            advice = advice or POLICIES[job.failure].advice.format(id=job.id, path=path)
    return Cause(kind=_KINDS[job.state], words=words, advice=advice)


def _not_again(job: Job) -> str:
    """Say why a failed job is not tried again; of what it needs, that is said there."""
    if job.failure is None or job.failure is FailureClass.NEEDS:
        return ""
    if POLICIES[job.failure].sequel is Sequel.STOP:
        return f"; it is not tried again, since {why(job.failure, Sequel.STOP)}"
    return f"; it is not tried again after {job.failures} of {job.max_attempts} failures"


def _pruned(job: Job, when: str) -> Cause:
    """Say that a trial was ended early, and by what was seen of it."""
    words, seen = f"it was pruned {when}{because(job.error.partition('pruned: ')[2])}", seen_of(job)
    if seen is not None and seen.rungs:
        words += f" ({seen.metric} {seen.rungs[-1]:.4g} at rung {len(seen.rungs)})"
    others = f"see the others of its study: adctl list --group {job.group}" if job.group else ""
    return Cause(kind=Kind.PRUNED, words=words, advice=others)


def attempts_told(client: Looking, job: Job) -> tuple[str, ...]:
    """Return a line for each attempt that ended, where there is more to tell than of the job.

    Others tell of what lay broken in the storage: whatever has damaged it may damage more.
    """
    attempts = client.attempts(job)
    broken = [_passed_over(one, line) for one in attempts for line in one.passed_over]
    over = [one for one in attempts if one.ended_at is not None]
    if job.state is JobState.SUCCEEDED or (job.state.terminal and len(over) < 2):
        return tuple(broken)
    return (*map(_attempt, over), *broken)


def _passed_over(attempt: Attempt, line: str) -> str:
    step = attempt.facts.get("resumed_step")
    went_on = f"went on from step {step}, since what is newer" if step else "found what"
    return f"attempt {attempt.number} {went_on} cannot be used: {line}"


def failures_told(client: Looking, job: Job) -> tuple[Failure, ...]:
    """Return what was made of each failure of a job, and why."""
    return tuple(
        Failure(
            attempt=one.number,
            failure=one.failure,
            error=one.error,
            sequel=one.sequel,
            why=why(one.failure, one.sequel),
        )
        for one in client.attempts(job)
        if one.failure is not None and one.sequel is not None
    )


def _attempt(attempt: Attempt) -> str:
    took = span((attempt.ended_at or attempt.started_at) - attempt.started_at)
    how = {
        AttemptOutcome.GIVEN_BACK: "was given back",
        AttemptOutcome.LOST: "was lost",
        AttemptOutcome.FAILED: f"failed ({attempt.failure})",
    }.get(attempt.outcome, str(attempt.outcome))
    error = ": its lease ran out" if attempt.outcome is AttemptOutcome.LOST else because(attempt.error)
    line = f"attempt {attempt.number} on worker {attempt.worker} {how} after {took}{error}"
    if attempt.sequel is None or attempt.failure is None:
        return line
    return f"{line}; {SEQUELS[attempt.sequel]}, since {why(attempt.failure, attempt.sequel)}"
