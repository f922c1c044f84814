"""What the store promises about leases: who may write to a job, and until when, and who makes room."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from ad_platform.records import Capabilities, Job, Lease, Occupancy, Outcome, Preemption, Progress, Renewal
from ad_platform.specs import Json

# Seconds after its submit from which a worker leaves cards free for a job that asks for several.
HELD_BACK_AFTER = 60.0

Refuses = Callable[[Job], str]  # why a worker does not understand a job; empty if it does


class Leases(ABC):
    """Who may write to a job, and until when."""

    @abstractmethod
    def lease(
        self,
        capabilities: Capabilities,
        seconds: float,
        hint: str | None = None,
        refuses: Refuses = lambda job: "",
    ) -> Lease | None:
        """Give the best eligible job to a worker, or None.

        One statement picks and takes it: SKIP LOCKED on PostgreSQL, an immediate transaction on SQLite, so no
        two workers ever get the same job. Eligible is a queued job whose `not_before` has passed, whose kind,
        detector and queue the worker has, whose cards and memory fit into what is free, whose dataset
        fingerprint the worker's node or the storage holds, whose user's quota it keeps and whose queue is not
        paused; a worker told to drain gets nothing. Best is, in this order: higher priority, fewer slots
        taken by running jobs of the same user, the hinted job, earlier submission.

        A job is given all the cards it asks for, or waits: on a worker with cards one at least, on others
        none. It asks for memory of each of them, or of the machine where it computes without.
        A job that asks for several, was submitted HELD_BACK_AFTER seconds ago or earlier and would be the
        best if nothing ran on this worker has its cards held back: until it can be given them, this worker
        gets it or what is of higher priority, nothing else. One worker does so for a job.
        A job that is among those `left` is none for this worker, nor is one of which `refuses`, asked before
        anything is committed, says why it is not understood.
        The job becomes `running`, `attempt` grows by one (even when a lease merely ran out: it is the
        fencing token), and the lease lasts `seconds` from the database's now.
        """

    @abstractmethod
    def renew(self, lease: Lease, progress: Progress | None = None) -> Renewal:
        """Lengthen the lease to `lease.seconds` from now, keep the progress, and say what to do next.

        The answer is CANCEL once a cancel was asked for, PRUNE once a prune was, DRAIN once the worker was
        told to drain, PREEMPT while the job it is to make room for is queued, CONTINUE otherwise. A lease
        that ran out but was not reaped is still held and can be renewed. Raises LeaseLost.
        """

    @abstractmethod
    def look(self, lease: Lease) -> Renewal:
        """Answer as `renew` does without changing anything: cheap enough for every two seconds.

        Its `seconds` is what is left of the lease. Raises LeaseLost.
        """

    @abstractmethod
    def note(self, lease: Lease, facts: Mapping[str, Json]) -> None:
        """Add facts to the attempt (host, device, threads, resumed step). Raises LeaseLost."""

    @abstractmethod
    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        """End the attempt and, unless it is worth another, the job; return the job.

        SUCCEEDED ends the job `succeeded` and queues the jobs that waited for it alone. FAILED counts one
        failure and does what `policies` says of its class: it queues the job again, `not_before` 2 to the
        power of the failures seconds from now (60 at most), after the first lack of memory with a
        `batch_divisor` of 2; unless that was failure number `max_attempts`. A class that stops ends the job
        `failed` at once, and the jobs that need it become `failed` with class `needs`. The attempt keeps
        which of these it was (`sequel`). CANCELLED, any outcome after a cancel was asked for, and FAILED
        after a prune was, end it `cancelled`. Raises LeaseLost.
        """

    @abstractmethod
    def give_back(self, lease: Lease, reason: str, *, preempted: bool = False) -> Job:
        """Queue the job again, keeping its checkpoints and counting no failure. Raises LeaseLost.

        One that was `preempted` names the job that it made room for, in its event of that kind and its error.
        An outbox row wakes another worker. After a cancel or a prune was asked for, the job ends `cancelled`
        instead.
        """

    @abstractmethod
    def reap(self) -> list[Job]:
        """Take back every running job whose lease ran out, and return those jobs.

        The attempt ends `lost`; that counts as a failure of class `lost`, with the consequences that `finish`
        states (a retry is queued at once, without waiting). Any process may call it, at any time.
        """

    @abstractmethod
    def preempt(self, occupancy: Occupancy) -> list[Preemption]:
        """Ask preemptible running jobs of a worker to make room for more urgent ones, and return which.

        For each queued job, in the order of the worker's line, that the worker could be given but for what
        runs there: nobody is asked while it fits into a slot that is free, here or on another worker that is
        online, or will be in a moment, or while somebody makes room for it already. Those who are asked are
        preemptible, of strictly lower priority, not about to end, and just as many as it takes; if all of
        them would not do, none is. Of several the lowest priority goes first, then the youngest attempt.
        The queued job is locked meanwhile, so that two workers never make room for one job. A mark says
        nothing any more once the job it names has left the queue.
        """
