"""What is done about each class of failure: one table, which the store obeys and people are shown."""

from dataclasses import dataclass

from ad_platform.states import FailureClass, Sequel

LONGEST_PAUSE = 60.0  # seconds between a failure and the next attempt
HALVES = 2  # parts in which batches are computed once memory did not suffice; never more


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What follows a class of failure, and what a person can do once the job has ended by it."""

    sequel: Sequel  # RETRY, HALVE or STOP
    why: str  # it is so, to be read after "since"
    advice: str  # with the places {id} of the job and {path} of its images
    once_halved: str = ""  # why it is tried again where batches are halved already, or cannot be


_ON = "go on from its last checkpoint: adctl retry {id}"
_LAST_WORDS = f"its last words may tell: adctl logs {{id}}; {_ON}"
# What is not worth an attempt of its own is not worth a retry either, unless something is changed before.
POLICIES: dict[FailureClass, Policy] = {
    FailureClass.OOM: Policy(
        sequel=Sequel.HALVE,
        why="half as much at once may fit",
        once_halved="others may have held the memory",
        advice="ask for less at once (smaller batches or images), or run it where more memory is",
    ),
    FailureClass.CRASH: Policy(
        sequel=Sequel.RETRY, why="another process may fare better", advice=_LAST_WORDS
    ),
    FailureClass.INFRA: Policy(
        sequel=Sequel.RETRY,
        why="what was away may be back",
        advice="see what is missing: adctl doctor; then go on: adctl retry {id}",
    ),
    FailureClass.LOST: Policy(
        sequel=Sequel.RETRY,
        why="the job is not to blame for its worker",
        advice="see that its worker lives: adctl worker list; then go on: adctl retry {id}",
    ),
    FailureClass.STALLED: Policy(
        sequel=Sequel.RETRY, why="what it waited for may answer", advice=_LAST_WORDS
    ),
    FailureClass.TIMEOUT: Policy(
        sequel=Sequel.STOP,
        why="its time is used up",
        advice=f"give it longer: adctl submit --from {{id}} --timeout 2h; or as long once more, and {_ON}",
    ),
    FailureClass.NAN: Policy(
        sequel=Sequel.STOP,
        why="the same seed leads to the same numbers",
        advice="try a smaller learning rate or another seed: adctl submit --from {id} --seed 1",
    ),
    FailureClass.DATA: Policy(
        sequel=Sequel.STOP,
        why="the images stay as they are",
        advice="look at the images: adctl data check {path}",
    ),
    FailureClass.CONFIG: Policy(
        sequel=Sequel.STOP,
        why="the settings stay as they are",
        advice="change the setting and submit it anew: adctl submit --from {id} -S NAME=VALUE",
    ),
    FailureClass.CODE: Policy(
        sequel=Sequel.STOP, why="the code stays as it is", advice="where it happened: adctl logs {id}"
    ),
    FailureClass.DISK: Policy(
        sequel=Sequel.STOP,
        why="nobody makes room by waiting",
        advice="make room where the storage and ADCTL_HOME lie, then go on: adctl retry {id}",
    ),
    FailureClass.NEEDS: Policy(
        sequel=Sequel.STOP, why="nothing can replace what it needs", advice="run both again: adctl retry {id}"
    ),
}
RETRYABLE = frozenset(failure for failure, policy in POLICIES.items() if policy.sequel is not Sequel.STOP)

SEQUELS = {
    Sequel.RETRY: "tried again",
    Sequel.HALVE: "tried again, its batches computed in halves",
    Sequel.STOP: "not tried again",
    Sequel.EXHAUSTED: "not tried again",
}


def why(failure: FailureClass, sequel: Sequel) -> str:
    """Return why this was made of a failure, in words to be read after "since"."""
    policy = POLICIES[failure]
    if sequel is Sequel.EXHAUSTED:
        return "it has failed as often as it may"
    return policy.once_halved if sequel is not policy.sequel and policy.once_halved else policy.why


def sequel_of(failure: FailureClass, *, failures: int, max_attempts: int, divisible: bool) -> Sequel:
    """Return what follows a failure that was the job's `failures`-th.

    Batches that are halved already, or cannot be, are not `divisible`: such a job is tried again as it was.
    """
    wanted = POLICIES[failure].sequel
    if wanted is Sequel.STOP:
        return wanted
    if failures >= max_attempts:
        return Sequel.EXHAUSTED
    return Sequel.RETRY if wanted is Sequel.HALVE and not divisible else wanted


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures: 2, 4, 8 ... at most LONGEST_PAUSE."""
    return min(2.0**failures, LONGEST_PAUSE)
