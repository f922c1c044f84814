"""Every error the platform raises on purpose.

AdctlError                 something a person or a program can act on
├── InvalidRequest         what was asked cannot be done as asked
│   ├── UnknownName        no such detector, preset, field, category or job
│   ├── AmbiguousId        a short id fits several jobs
│   ├── InvalidValue       a value outside its range or of the wrong type
│   ├── Forbidden          the account that is used may not do this
│   └── InvalidData        a folder or file of images that cannot be used
├── Conflict               what was asked clashes with what has happened since
│   ├── LeaseLost          the writer no longer holds the job
│   ├── ClaimLost          whoever advanced a study or benchmark no longer may
│   ├── IllegalTransition  a job or study cannot go from one state to the other
│   ├── NotSucceeded       a job that was waited for failed or was cancelled
│   ├── GateRefused        a promotion gate said no
│   ├── Collected          what is needed was collected, and lies in the trash or is gone
│   ├── StoreMoved         the store went to a cluster, or is on its way there
│   └── ChampionChanged    somebody else promoted in between
├── Unavailable            a service or file cannot be reached now
│   ├── BrokerDown
│   ├── StoreDown
│   ├── StorageDown
│   ├── TimedOut           what was waited for takes longer
│   └── TrackingDown
├── StoreMismatch          the store's schema is older or newer than this program
├── StoreDamaged           the store's file is no database, or a broken one
├── DiskFull               no room left where a result had to be written
├── CorruptBundle          a stored bundle does not match its manifest
└── MissingExtra           a part of adctl that is not installed was needed
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class AdctlError(Exception):
    """Something a person or a program can act on; its text is one line that says what to do."""


class AdctlWarning(UserWarning):
    """Something that was done all the same, and that a person may not expect."""


class InvalidRequest(AdctlError):
    """What was asked cannot be done as asked."""


class UnknownName(InvalidRequest):
    """No such detector, preset, field, category or job; names the nearest ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, sorted(known)
        super().__init__(f"no {what} named '{name}'; {suggest(name, self.known)}")


class AmbiguousId(InvalidRequest):
    """A short id fits several jobs, or several sweeps."""

    def __init__(self, prefix: str, ids: Sequence[str], what: str = "jobs") -> None:
        self.prefix, self.ids = prefix, list(ids)
        super().__init__(f"id '{prefix}' fits several {what}: {', '.join(ids)}; give more characters")


class InvalidValue(InvalidRequest):
    """A value outside its range or of the wrong type."""


class Forbidden(InvalidRequest):
    """The account that is used may not do this."""


class InvalidData(InvalidRequest):
    """A folder or file of images that cannot be used."""


class Conflict(AdctlError):
    """What was asked clashes with what has happened since."""


class LeaseLost(Conflict):
    """The writer no longer holds the job: another attempt, a cancel or a reap came first."""

    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id, self.attempt = job_id, attempt
        super().__init__(f"attempt {attempt} no longer holds job {job_id}; nothing was written")


class ClaimLost(Conflict):
    """Whoever advanced a study or benchmark no longer may: the claim ran out, and somebody else may go on."""

    def __init__(self, claimed: str, owner: str, what: str = "study") -> None:
        self.claimed, self.owner = claimed, owner
        super().__init__(f"{owner} no longer advances {what} {claimed}; nothing was written")


class IllegalTransition(Conflict):
    """A job or study cannot go from one state to the other."""

    def __init__(self, job_id: str, old: str, new: str, what: str = "job") -> None:
        self.job_id, self.old, self.new = job_id, old, new
        super().__init__(f"{what} {job_id} is {old} and cannot become {new}")


class NotSucceeded(Conflict):
    """A job that was waited for, or whose results were asked for, failed or was cancelled."""

    def __init__(self, job_id: str, words: str) -> None:
        self.job_id = job_id
        super().__init__(words)


class GateRefused(Conflict):
    """A promotion gate said no."""


class Collected(Conflict):
    """The files that this needs were collected: they lie in the trash, or are gone."""


class StoreMoved(Conflict):
    """The store went to a cluster, or is on its way there: what lies here takes no writes any more."""


class ChampionChanged(Conflict):
    """Somebody else promoted in between: look again, then decide again."""


class Unavailable(AdctlError):
    """A service or file cannot be reached now; trying later may work."""


class BrokerDown(Unavailable):
    """The queue's broker does not answer."""


class StoreDown(Unavailable):
    """The store's database does not answer."""


class StorageDown(Unavailable):
    """The storage does not answer."""


class TimedOut(Unavailable):
    """What was waited for takes longer; it goes on."""


class TrackingDown(Unavailable):
    """The tracking server does not answer."""


class StoreMismatch(AdctlError):
    """The store's schema is older or newer than this program."""


class StoreDamaged(AdctlError):
    """The store's file is no database, or a broken one."""


class DiskFull(AdctlError):
    """No room left where a result had to be written."""


class CorruptBundle(AdctlError):
    """A stored bundle does not match its manifest; names the file."""


class MissingExtra(AdctlError):
    """A part of adctl that is not installed was needed; says what to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more than the light client: pip install 'adctl[{extra}]'")


def suggest(name: str, known: Sequence[str]) -> str:
    """Say which known names come nearest to a mistyped one, or all of them when there are few."""
    lowered = {each.lower(): each for each in known}
    near = [lowered[each] for each in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not known:
        return "there are none yet"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"there are: {shown}"
