"""What the store promises to whoever looks over it as a whole, and mends what is at odds."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ad_platform.audited import Claimed, Held, Miscounted, OpenAttempt, Silent, Standing, Stuck, Unheard
from ad_platform.records import CheckpointRecord, Job, StageRecord


class Audit(ABC):
    """Finds what should not be, at most `limit` of a kind, and mends it under the rules of every write.

    Where a search would go through every job, `window` bounds the jobs that are looked at. A mending looks
    again inside its own transaction and changes nothing where there is nothing to mend any more: it may be
    called twice, by several, and on what has changed since it was found.
    """

    @abstractmethod
    def held(self, limit: int) -> list[Held]:
        """Return the running jobs, those whose lease ends first at the head."""

    @abstractmethod
    def unheard(self, silence: float, limit: int) -> list[Unheard]:
        """Return the jobs that `Outbox.remind` would owe a ring, oldest first."""

    @abstractmethod
    def stuck(self, limit: int, window: int) -> list[Stuck]:
        """Return waiting jobs, of the oldest, whose needs have all succeeded or one of which ended badly."""

    @abstractmethod
    def waits(self, window: int) -> list[tuple[str, str]]:
        """Return (job, need) for the oldest waiting jobs that need jobs which wait too."""

    @abstractmethod
    def open_attempts(self, limit: int) -> list[OpenAttempt]:
        """Return attempts recorded as running whose job they do not hold."""

    @abstractmethod
    def miscounted(self, limit: int, window: int) -> list[Miscounted]:
        """Return queued and running jobs, of the oldest, whose counters and attempts disagree."""

    @abstractmethod
    def silent(self, seconds: float) -> list[Silent]:
        """Return workers that are not recorded as gone and were not seen for so long."""

    @abstractmethod
    def claimed_studies(self) -> list[Claimed]:
        """Return the studies that somebody claimed and did not release."""

    @abstractmethod
    def claimed_benchmarks(self) -> list[Claimed]:
        """Return the benchmarks that somebody claimed and did not release."""

    @abstractmethod
    def let_go(self, row_id: str, owner: str) -> bool:
        """Release a claim on a study or benchmark that has run out; False if it has not, or is gone."""

    @abstractmethod
    def standings(self, job_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return how jobs stand, by id; unknown ids are left out."""

    @abstractmethod
    def newest(self, limit: int, before_seq: int | None = None) -> list[Standing]:
        """Return how the newest jobs stand, newest first."""

    @abstractmethod
    def late(self, seconds: float, limit: int) -> list[Standing]:
        """Return jobs that ended over `seconds` ago, whose tracking is behind and which nobody ships."""

    @abstractmethod
    def checkpoints(self, job_ids: Sequence[str]) -> list[CheckpointRecord]:
        """Return the committed checkpoints of these jobs."""

    @abstractmethod
    def stages(self, limit: int) -> list[StageRecord]:
        """Return the newest records of stages."""

    @abstractmethod
    def settle(self, job_id: str) -> Job:
        """Let a waiting job go on, or fail, as the end of its needs should have made it; return the job."""

    @abstractmethod
    def close_attempt(self, job_id: str, number: int) -> bool:
        """Record an attempt that does not hold its job as lost; False if it holds it or has ended."""

    @abstractmethod
    def recount(self, job_id: str) -> bool:
        """Raise a job's attempt number to that of its newest attempt, unless it is running.

        Otherwise its next attempt would be given a number that there is already.
        """

    @abstractmethod
    def retire(self, worker_id: str, seconds: float) -> bool:
        """Record a worker as gone if it was not seen for so long; one that comes back registers again."""

    @abstractmethod
    def tell_again(self, job_id: str) -> None:
        """Make a job due for tracking as if something of it had changed."""

    @abstractmethod
    def forget_checkpoint(self, job_id: str, prefix: str) -> bool:
        """Drop the record of a checkpoint that is not in the storage; False if there is none."""

    @abstractmethod
    def forget_stage(self, key: str, manifest_sha256: str) -> bool:
        """Drop the record of a stage that is not in the storage; False if there is no such record."""
