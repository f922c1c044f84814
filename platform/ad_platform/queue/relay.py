"""Rings owed by the store are made here: by the client after a submit, and by every tick."""

from ad_platform.errors import BrokerDown
from ad_platform.queue.protocol import Queue
from ad_platform.store.contract import Outbox


def relay(outbox: Outbox, queue: Queue, limit: int = 100) -> int:
    """Make the rings that are owed and return how many; raise BrokerDown after keeping the rest owed.

    A process that dies between the ring and the note rings twice: harmless, a ring is a hint.
    """
    owed = outbox.owed(limit)
    made: list[int] = []
    try:
        for entry in owed:
            queue.ring(entry.job_id, entry.queue, entry.priority)
            made.append(entry.seq)
    except BrokerDown:
        outbox.rung(made)
        raise
    outbox.rung(made)
    return len(made)
