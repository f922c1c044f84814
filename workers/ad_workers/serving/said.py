"""What LitServe says of itself: on stderr, and nothing of helpers that are gone once all is to end."""

import logging
import sys

LITSERVE = "litserve"


class AtTheEnd(logging.Filter):
    """Drops errors of a thread that still asks a helper: once all is to end, they end in any order."""

    ending = False

    def come(self) -> None:
        """Be told that all is to end."""
        self.ending = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is of interest."""
        raised = record.exc_info[1] if record.exc_info else None
        return not (self.ending and isinstance(raised, EOFError | ConnectionError))

    def on_stderr(self) -> None:
        """Have LitServe, once it is imported, speak on stderr through this: stdout is for the caller."""
        for handler in logging.getLogger(LITSERVE).handlers:
            handler.addFilter(self)
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)
