"""What the store promises of studies; the rules at the top of `contract.py` hold here too."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Unpack

from ad_platform.records import Job, Study, Trial
from ad_platform.requests import GroupFilter
from ad_platform.specs import Json, Submission
from ad_platform.states import StudyState, TrialOrigin, TrialState


class Studies(ABC):
    """Durable searches, with their trials; one process at a time advances one."""

    @abstractmethod
    def create(self, study: Study) -> Study:
        """Remember a study; the same name again returns the first."""

    @abstractmethod
    def get(self, name: str) -> Study:
        """Return a study by name, id or the beginning of its id; raise UnknownName or AmbiguousId."""

    @abstractmethod
    def search(self, states: Sequence[StudyState] = (), limit: int = 100) -> list[Study]:
        """Return the studies in these states, in any if none is named, newest first."""

    @abstractmethod
    def find(self, **wanted: Unpack[GroupFilter]) -> list[Study]:
        """Return the studies that a filter keeps, newest first unless told otherwise."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names of all studies."""

    @abstractmethod
    def to_advance(self) -> list[Study]:
        """Return what may need a hand: studies that run, and others with trials that have not ended."""

    @abstractmethod
    def claim(self, study_id: str, owner: str, seconds: float) -> bool:
        """Take the right to advance a study for a while; False if somebody else holds it."""

    @abstractmethod
    def prolong(self, study_id: str, owner: str, seconds: float) -> bool:
        """Hold a study for longer; False if somebody else has held it since, though it may be free again.

        Whoever went on with it has left it otherwise than this owner knows it.
        """

    @abstractmethod
    def release(self, study_id: str, owner: str) -> None:
        """Give that right back, if still held."""

    @abstractmethod
    def steer(
        self,
        study_id: str,
        *,
        state: StudyState | None = None,
        wanted: int | None = None,
        parallel: int | None = None,
    ) -> Study:
        """Change what a person may change, and return the study; what is None stays.

        Raises IllegalTransition for a state that the study cannot go to from where it is. A study that goes
        on has not finished any more.
        """

    @abstractmethod
    def begin_trial(
        self, trial: Trial, owner: str, submissions: Sequence[Submission]
    ) -> tuple[Trial, list[Job]]:
        """Remember a trial together with its jobs, and return both; a number that is known stands.

        One that is RETRY of a trial which was retried already is not remembered: the first one is returned.
        Raises ClaimLost unless `owner` holds the claim on the study.
        """

    @abstractmethod
    def end_trial(
        self,
        study_id: str,
        number: int,
        state: TrialState,
        values: Sequence[float] | None,
        error: str = "",
        *,
        owner: str | None = None,
    ) -> Trial:
        """End a trial, and return it; an ended one stands as it is.

        Raises UnknownName; ClaimLost if an owner is named that does not hold the study.
        """

    @abstractmethod
    def retry(self, study_id: str) -> list[Trial]:
        """Ask for every failed trial to be run once more, have the study run, and return those trials.

        Left out are trials that were retried already, and those whose settings do not go together.
        """

    @abstractmethod
    def trials(
        self, study_id: str, states: Sequence[TrialState] = (), after: int = -1, limit: int | None = None
    ) -> list[Trial]:
        """Return the trials of a study beyond a number, in order; those in these states if any is named."""

    @abstractmethod
    def counts(self, study_id: str) -> Mapping[tuple[TrialOrigin, TrialState], int]:
        """Return how many trials of each origin are in each state."""

    @abstractmethod
    def summarise(
        self, study_id: str, owner: str, summary: Mapping[str, Json], *, finished: bool = False
    ) -> Study:
        """Keep what a study has come to, and end it if it runs and is `finished`; return it.

        Raises ClaimLost unless `owner` holds the claim on the study.
        """

    @abstractmethod
    def unshipped(self) -> list[Study]:
        """Return the studies that the tracking server has not been told everything about."""

    @abstractmethod
    def shipped(self, study: Study, run_id: str) -> None:
        """Note that the tracking server knows a study up to its `version`, and by which run."""
