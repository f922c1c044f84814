"""What the store promises about telling the tracking server: who does, and what it has been told."""

from abc import ABC, abstractmethod

from ad_platform.records import Shipment


class Shipments(ABC):
    """What the tracking server has not been told yet."""

    @abstractmethod
    def claim(self, owner: str, seconds: float, limit: int = 20, job_id: str | None = None) -> list[Shipment]:
        """Give jobs whose tracking is behind to one shipper for `seconds`; no two shippers get the same.

        With a job, that one alone.
        """

    @abstractmethod
    def done(self, shipment: Shipment, run_id: str, shipped_step: int, again_in: float | None = None) -> None:
        """Note what was shipped and let the claim go; changes since `shipment.version` keep the job due.

        With `again_in` it stays due in any case, though not before as many seconds. If another shipper has
        taken the claim over, nothing is noted but that the job is due again: two have shipped at once.
        """

    @abstractmethod
    def release(self, shipment: Shipment) -> None:
        """Let a claim go with nothing shipped, so that anybody may take it up at once, and knows of it.

        Does nothing if another shipper has taken the claim over.
        """

    @abstractmethod
    def run_of(self, job_id: str) -> str | None:
        """Return the id of the run a job was shipped to, if it ever was."""
