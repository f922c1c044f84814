"""What a worker makes of what lies in the broker: whoever may write there may wake it, and no more."""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

log = logging.getLogger(__name__)

LONGEST = 64  # characters of a job's id
# What Celery and kombu raise over a message of another shape than theirs; not what a lost connection raises.
_MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError, RecursionError)


def hint_of(said: object) -> str:
    """Return which job a message hints at; "" for what can be no job's id, since any wake-up is as good."""
    if isinstance(said, str) and len(said) <= LONGEST and said.isascii() and said.isprintable():
        return said
    return ""


class Careful(Consumer):  # type: ignore[misc]
    """Celery's consumer, which a message of no known shape would end, and with it this worker's jobs."""

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
