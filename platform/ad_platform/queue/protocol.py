"""The seam between the store's outbox and whatever carries a wake-up to the workers."""

from typing import Protocol

WAKE = "adctl.wake"  # the one message: (job id)


class Queue(Protocol):
    """Carries wake-ups; a message says only that there may be work, and the store decides."""

    def ring(self, job_id: str, queue: str, priority: int) -> None:
        """Wake one worker that listens to the queue label; raise BrokerDown when that cannot be done now."""

    def depths(self, queues: list[str]) -> dict[str, int]:
        """Return how many wake-ups lie in each queue; raise BrokerDown."""
