"""Rings owed by the store are made here: by the client after a submit, and by every tick."""

from collections.abc import Sequence

from ad_platform.errors import BrokerDown
from ad_platform.failpoints import Edge, reach
from ad_platform.queue.protocol import Queue
from ad_platform.records import OutboxEntry
from ad_platform.store.contract import Outbox


def relay(outbox: Outbox, queue: Queue, limit: int = 100, full: int | None = None) -> int:
    """Make the rings that are owed and return how many; raise BrokerDown after keeping the rest owed.

    A process that dies between the ring and the note rings twice: harmless, a ring is a hint. A queue in
    which `full` wake-ups lie already gets no more, and what was owed to it counts as made: each wake-up takes
    the best job there is, and a worker goes on to the next by itself, so more would only pile up.
    """
    owed = outbox.owed(limit)
    crowded = _crowded(queue, owed, full)
    made: list[int] = []
    try:
        for entry in owed:
            if entry.queue not in crowded:
                reach(Edge.RING)
                queue.ring(entry.job_id, entry.queue, entry.priority)
                reach(Edge.RUNG)
            made.append(entry.seq)
    except BrokerDown:
        outbox.rung(made)
        raise
    outbox.rung(made)
    return len(made)


def _crowded(queue: Queue, owed: Sequence[OutboxEntry], full: int | None) -> set[str]:
    labels = sorted({entry.queue for entry in owed})
    if full is None or not labels:
        return set()
    return {label for label, depth in queue.depths(labels).items() if depth >= full}
