"""What the store promises of collections; the rules at the top of `contract.py` hold here too."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ad_platform.records import StageRecord
from ad_platform.states import CollectedState, FailureClass, JobKind, JobState


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What of a job decides whether its files are needed; jobs are many, so this is little."""

    id: str
    seq: int
    kind: JobKind
    state: JobState
    failure: FailureClass | None
    detector: str
    data: str  # dataset and category
    fingerprint: str  # of its images; of a prediction that of its listing
    key: str | None
    group: str | None
    retry_of: str | None
    source: str | None
    needs: tuple[str, ...]
    keep: bool  # it carries the tag "keep"
    bundle: str | None  # what its result names
    stages: tuple[str, ...]  # keys
    finished_at: float | None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What was done to the files of a place, when and by whom."""

    place: str  # in the storage: "jobs/<id>", "stages/<key>"
    state: CollectedState
    user: str
    at: float


class Retention(ABC):
    """Who collects, what was collected, and the facts by which that is decided."""

    @abstractmethod
    def identity(self) -> str:
        """Return the name that this store was given by chance when it was made."""

    @abstractmethod
    def claim(self, owner: str, seconds: float) -> bool:
        """Take the right to collect, or keep it, for a while; False if somebody else holds it."""

    @abstractmethod
    def release(self, owner: str) -> None:
        """Give that right back, if still held."""

    @abstractmethod
    def holder(self) -> str | None:
        """Return who holds that right now."""

    @abstractmethod
    def jobs(self) -> dict[str, JobFacts]:
        """Return the facts of every job by id."""

    @abstractmethod
    def stages(self) -> list[StageRecord]:
        """Return the records of every stage."""

    @abstractmethod
    def untold(self) -> frozenset[str]:
        """Return the ended jobs of which the tracking server has not been told everything."""

    @abstractmethod
    def marks(self) -> dict[str, Mark]:
        """Return what was done to which place."""

    @abstractmethod
    def check(self, job_id: str) -> None:
        """Raise Collected if the files of a job were collected, saying when and what to do."""

    @abstractmethod
    def condemn(self, owner: str, user: str, job_ids: Collection[str]) -> frozenset[str]:
        """Mark ended jobs whose files are about to go, and return those that are marked.

        From then on nothing that needs their files can be written (`Collected`). Whatever was written before
        can be read once this has returned: so look again, and spare what is needed by now. Raises ClaimLost.
        """

    @abstractmethod
    def settle(self, owner: str, user: str, marks: Mapping[str, CollectedState | None]) -> None:
        """Note what was done to places; None takes the mark away. Raises ClaimLost."""
