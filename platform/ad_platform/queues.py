"""What is known of queues: how many jobs each holds, whether it is paused, and who is next in line."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.errors import UnknownName
from ad_platform.records import WorkerRecord

USUAL = "default"  # the queue of a job whose submitter named none


@dataclass(frozen=True, kw_only=True)
class PausedQueue:
    """A queue that gives out no job until it is resumed."""

    name: str
    user: str  # who paused it
    at: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class QueueLoad:
    """How many jobs of a queue are in each state that can still change."""

    name: str
    waiting: int = 0
    queued: int = 0
    running: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A job in the line before one worker, and what its place was decided by."""

    job_id: str
    user: str
    priority: int
    running: int  # slots that jobs of the same user take now: who has fewer goes first


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """A queue at a glance."""

    load: QueueLoad
    workers: int = 0  # online and serving it
    slots: int = 0  # that those workers have
    paused: PausedQueue | None = None

    @property
    def name(self) -> str:
        """Return the queue's name."""
        return self.load.name


@dataclass(frozen=True, kw_only=True)
class QueueChange:
    """What became of a wish to pause or resume a queue."""

    queue: QueueState
    changed: bool  # False: it was so already
    trouble: str = ""  # why its workers could not be woken yet


def named(text: str, known: Sequence[QueueState]) -> str:
    """Return the name of a known queue, written in any case; raise UnknownName."""
    names = [queue.name for queue in known]
    if text in names:
        return text
    fitting = [name for name in names if name.lower() == text.lower()]
    if len(fitting) != 1:
        raise UnknownName("queue", text, names)
    return fitting[0]


def states(
    loads: Sequence[QueueLoad], paused: Sequence[PausedQueue], roster: Sequence[WorkerRecord]
) -> list[QueueState]:
    """Return every queue that holds jobs, is paused or is served, by name; the usual one always."""
    known = {load.name: load for load in loads}
    stopped = {one.name: one for one in paused}
    online = [worker for worker in roster if worker.state == "online"]
    served = {name for worker in online for name in worker.queues}
    found = []
    for name in sorted({USUAL, *known, *stopped, *served}):
        serving = [worker for worker in online if name in worker.queues]
        found.append(
            QueueState(
                load=known.get(name, QueueLoad(name=name)),
                workers=len(serving),
                slots=sum(worker.slots for worker in serving),
                paused=stopped.get(name),
            )
        )
    return found
