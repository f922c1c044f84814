"""A queue in memory: for tests, and for programs that hold client and worker in one process."""

from collections import deque
from dataclasses import dataclass, field

from ad_platform.errors import BrokerDown


@dataclass
class MemoryQueue:
    """Keeps the rings in order of priority, higher first; `down` makes it refuse like a dead broker."""

    down: bool = False
    _rings: dict[str, deque[tuple[int, str]]] = field(default_factory=dict)

    def ring(self, job_id: str, queue: str, priority: int) -> None:
        """Remember one wake-up; raise BrokerDown while `down`."""
        self._require()
        self._rings.setdefault(queue, deque()).append((priority, job_id))

    def depths(self, queues: list[str]) -> dict[str, int]:
        """Return how many wake-ups lie in each queue; raise BrokerDown while `down`."""
        self._require()
        return {name: len(self._rings.get(name, ())) for name in queues}

    def take(self, queue: str = "default") -> str | None:
        """Take the job id of the next wake-up, or None."""
        rings = self._rings.get(queue)
        if not rings:
            return None
        best = max(rings, key=lambda ring: ring[0])  # the first of the highest priority
        rings.remove(best)
        return best[1]

    def flush(self) -> None:
        """Lose every wake-up, as a broker that was emptied does."""
        self._rings.clear()

    def _require(self) -> None:
        if self.down:
            raise BrokerDown("the queue in memory is down")
