"""What the store promises about quotas, and about the memory that jobs were seen to take."""

from abc import ABC, abstractmethod

from ad_platform.records import Peak, Quota
from ad_platform.specs import JobSpec


class Quotas(ABC):
    """How much the jobs of one user may take at a time."""

    @abstractmethod
    def set(self, quota: Quota) -> Quota:
        """Let a user have no more than this from now on, in place of what was set before.

        What runs goes on, even beyond it. Raises InvalidValue for a quota that limits nothing or is below 0.
        """

    @abstractmethod
    def clear(self, user: str) -> bool:
        """Lift a user's quota, and owe a ring for each of the user's queued jobs; False if there was none."""

    @abstractmethod
    def all(self) -> list[Quota]:
        """Return the quotas by user."""


class Peaks(ABC):
    """How much memory of a card jobs of one sort have taken: kind, detector, preset, image size and batch.

    An attempt tells it as a fact (`peak_card_mb`); what is kept is the most, which fades by an eighth of the
    difference with each attempt that took less.
    """

    @abstractmethod
    def of(self, spec: JobSpec, batch_divisor: int = 1) -> Peak | None:
        """Return what jobs like this one took; None where nobody has told."""
