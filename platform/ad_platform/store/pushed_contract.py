"""What the store promises of pushed pictures; the rules at the top of `contract.py` hold here too."""

from abc import ABC, abstractmethod

from ad_platform.records import PushedData


class Pushed(ABC):
    """Which pictures lie in the storage: from its note on, jobs that need them go to any worker."""

    @abstractmethod
    def record(self, pushed: PushedData) -> PushedData:
        """Note pictures whose list and files are in the storage, and return the note with its time.

        The same fingerprint again replaces it.
        """

    @abstractmethod
    def get(self, fingerprint: str) -> PushedData | None:
        """Return the note of a fingerprint, if there is one."""

    @abstractmethod
    def all(self) -> list[PushedData]:
        """Return every note, by dataset and category, newest first among equals."""

    @abstractmethod
    def forget(self, fingerprint: str) -> bool:
        """Drop a note before its files go; False, with nothing changed, if a job that has not ended needs it.

        True too where there is no such note.
        """
