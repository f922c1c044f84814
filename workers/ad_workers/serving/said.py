"""What LitServe says of itself: on stderr, and nothing of helpers that are gone once all is to end."""

import logging
import sys

LITSERVE = "litserve"


class AtTheEnd(logging.Filter):
    """Drops errors of a thread that still asks a helper: once all is to end, they end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = False
        self.handler = logging.StreamHandler(sys.stderr)
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def come(self) -> None:
        """Be told that all is to end."""
        self.ending = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Say what is of interest, and leave nothing to the library's own handler."""
        raised = record.exc_info[1] if record.exc_info else None
        if not (self.ending and isinstance(raised, EOFError | ConnectionError)):
            self.handler.handle(record)
        return False

    def on_stderr(self) -> None:
        """Have LitServe, once it is imported, speak on stderr through this: stdout is for the caller.

        Its handlers are of no use for that: it makes them anew, for stdout, when it starts.
        """
        below = [name for name in logging.root.manager.loggerDict if name.startswith(f"{LITSERVE}.")]
        for name in [LITSERVE, *below]:
            logging.getLogger(name).addFilter(self)
