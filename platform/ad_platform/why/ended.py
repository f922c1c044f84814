"""Why an ended job ended as it did."""

from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.records import Attempt, Job
from ad_platform.rungs import seen_of
from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.situation import Situation
from ad_platform.why.telling import ago, because

# What usually helps. A failure that is not worth an attempt of its own is not worth a retry either.
_LAST_WORDS = "its last words may tell: adctl logs {id}; go on from its last checkpoint: adctl retry {id}"
ADVICE = {
    FailureClass.OOM: "ask for less at once (smaller batches or images), or run it where more memory is",
    FailureClass.CRASH: _LAST_WORDS,
    FailureClass.INFRA: "see what is missing: adctl doctor; then go on: adctl retry {id}",
    FailureClass.LOST: "see that its worker lives: adctl worker list; then go on: adctl retry {id}",
    FailureClass.STALLED: _LAST_WORDS,
    FailureClass.NAN: "try a smaller learning rate or another seed",
    FailureClass.DATA: "look at the images: adctl data check {path}",
    FailureClass.CONFIG: "change the setting and submit it anew: adctl submit --from {id} -S NAME=VALUE",
    FailureClass.CODE: "where it happened: adctl logs {id}",
    FailureClass.DISK: "make room where the storage and ADCTL_HOME lie, then go on: adctl retry {id}",
    FailureClass.NEEDS: "run both again: adctl retry {id}",
}
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
        words = f"it failed {when} ({job.failure}){because(job.error)}"
        if job.failure is not None:
            path = job.spec.dataset.path
            advice = advice or ADVICE[job.failure].format(id=job.id, path=path)
    return Cause(kind=_KINDS[job.state], words=words, advice=advice)


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


def _attempt(attempt: Attempt) -> str:
    took = span((attempt.ended_at or attempt.started_at) - attempt.started_at)
    how = {
        AttemptOutcome.GIVEN_BACK: "was given back",
        AttemptOutcome.LOST: "was lost",
        AttemptOutcome.FAILED: f"failed ({attempt.failure})",
    }.get(attempt.outcome, str(attempt.outcome))
    why = ": its lease ran out" if attempt.outcome is AttemptOutcome.LOST else because(attempt.error)
    return f"attempt {attempt.number} on worker {attempt.worker} {how} after {took}{why}"
