"""What a worker makes of what lies in the broker: whoever may write there may wake it, and no more."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.bootsteps import CLOSE, TERMINATE
from celery.worker.consumer import Consumer

log = logging.getLogger(__name__)

LONGEST = 64  # characters of a job's id
MOST, LATELY = 5, 60.0  # how often a listener may break in how many seconds
# What Celery and kombu raise over a message of another shape than theirs; not what a lost connection raises.
_MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError, RecursionError)


def hint_of(said: object) -> str:
    """Return which job a message hints at; "" for what can be no job's id, since any wake-up is as good."""
    if isinstance(said, str) and len(said) <= LONGEST and said.isascii() and said.isprintable():
        return said
    return ""


class Careful(Consumer):  # type: ignore[misc]
    """Celery's consumer, which a message of no known shape would end, and with it this worker's jobs."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._broken: list[float] = []  # when it broke lately, by the monotonic clock

    def start(self) -> None:
        """Listen until it is closed, and anew where it broke over what no lost connection raises.

        That may be text in the broker that is no message at all, or kombu letting go of a connection that is
        lost already. Beyond a few times a minute the error is raised: it is no accident then.
        """
        while True:
            try:
                super().start()
            except _MISSHAPEN as error:
                now = time.monotonic()
                self._broken = [*(each for each in self._broken if now - each < LATELY), now]
                if len(self._broken) > MOST or self.blueprint.state in (CLOSE, TERMINATE):
                    raise
                log.warning("the listener broke over %s; it listens anew", type(error).__name__)
                if self.connection:
                    with suppress(Exception):  # as Celery does: it may be the very thing that broke
                        self.connection.collect()
                self.on_close()
                self._cancel_connection_timer_entries()
                self.blueprint.restart(self)
            else:
                return

    def create_task_handler(self, *given: Any, **named: Any) -> Callable[[Any], None]:
        """Return what takes a message: one that cannot be understood is thrown away."""
        handle = super().create_task_handler(*given, **named)

        def taken(message: Any) -> None:
            try:
                handle(message)
            except _MISSHAPEN as error:
                log.warning("a message that is none of ours is thrown away: %s", type(error).__name__)
                message.reject_log_error(log, self.connection_errors)

        return taken
