"""What LitServe says of itself: on stderr, and nothing of helpers that are gone once all is to end."""

import logging
import sys

LITSERVE = "litserve"


class LitServeLog:
    """Speaks for LitServe's loggers."""

    def __init__(self) -> None:
        self._ending = False
        self._handler = logging.StreamHandler(sys.stderr)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self._handler.addFilter(self._of_interest)

    def take_over(self) -> None:
        """Have LitServe, once it is imported, speak on stderr: stdout is for the caller.

        Its own handler would not do: LitServe makes it anew, for stdout, when it starts.
        """
        for name in logging.root.manager.loggerDict:
            if name.startswith(f"{LITSERVE}."):
                logger = logging.getLogger(name)
                logger.addHandler(self._handler)
                logger.propagate = False

    def expect_the_end(self) -> None:
        """Be told that all is to end: LitServe may still ask a helper that has ended before it."""
        self._ending = True

    def _of_interest(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        return not (self._ending and isinstance(raised, EOFError | ConnectionError))
