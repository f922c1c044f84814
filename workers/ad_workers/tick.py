"""What every worker does every few seconds: reap, sweep, relay, remind, beat; all idempotent."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ad_platform.errors import AdctlError, BrokerDown, StoreMismatch, StoreMoved
from ad_platform.queue.celery import own_queue
from ad_platform.queue.protocol import Queue
from ad_platform.queue.relay import relay
from ad_platform.specs import Json
from ad_platform.store.contract import Store

log = logging.getLogger(__name__)

FULL = 100  # wake-ups in one queue, beyond which reminders would only pile up


@dataclass
class Ticker:
    """One round of housekeeping; `drain` is called when somebody told this worker to drain."""

    store: Store
    queue: Queue
    worker: str
    silence: float  # seconds after which a queued job is rung for again
    drain: Callable[[], None]
    idle: Callable[[], bool]  # whether a slot is free
    sweep: Callable[[], None] = lambda: None  # has sweeps and benchmarks taken further
    load: Callable[[], Mapping[str, Json] | None] = lambda: None  # what this worker has to give now
    make_room: Callable[[], None] = lambda: None  # has running jobs asked to make room for urgent ones
    turn: float = 1.0  # seconds for which one worker's reminders and rings are enough for all
    back: Callable[[], None] = lambda: None  # told that the worker counts as gone: it was held up for long
    outgrown: Callable[[AdctlError], None] = lambda error: None  # told that the store is not for it any more

    def tick(self) -> None:
        """Do one round; a service that is down is left for the next one."""
        try:
            self.store.require_schema()
            state = self.store.workers.beat(self.worker, self.load())
            if state == "draining":
                self.drain()
            elif state == "gone":
                self.back()
            self.make_room()
            for job in self.store.leases.reap():
                log.warning("job %s was taken back: its lease ran out", job.id)
            if self.store.studies.to_advance() or self.store.benchmarks.to_follow():
                self.sweep()
            if self.store.outbox.turn(self.worker, self.turn):
                self.store.outbox.remind(self.silence)
                relay(self.store.outbox, self.queue, full=FULL)
            if self.idle():
                # A message may have been eaten by a worker that could not do the job: look for oneself.
                self.queue.ring("", own_queue(self.worker), 0)
        except BrokerDown as error:
            log.warning("%s; rings stay owed", error)
        except (StoreMismatch, StoreMoved) as error:
            self.outgrown(error)
        except AdctlError as error:
            log.warning("tick: %s", error)

    def run(self, every: float, stop: threading.Event) -> None:
        """Tick until told to stop."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception:  # the outermost edge of this thread: housekeeping must go on
                log.exception("tick failed; going on")
            stop.wait(every)
