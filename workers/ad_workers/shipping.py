"""Keeps the node's shipper running: a process of its own, since MLflow is heavy and may block."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds before a shipper that died is started again


@dataclass
class ShipperProcess:
    """Starts `python -m ad_platform.tracking` and starts it again when it dies.

    It ends when the pipe this process holds reaches its end: when we close it, or when we are killed.
    """

    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self, patience: float) -> None:
        """Let the shipper make a last round of at most so many seconds; what it misses stays owed."""
        self.closed.set()
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._process.kill()

    def _keep(self) -> None:
        while not self.closed.is_set():
            read, self._lifeline = os.pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ad_platform.tracking", "--lifeline", str(read)],
                pass_fds=(read,),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            os.close(read)
            code = self._process.wait()
            if self.closed.is_set():
                return
            log.error("the shipper ended with code %d; starting it again", code)
            with contextlib.suppress(OSError):
                os.close(self._lifeline)
            self.closed.wait(PAUSE)
