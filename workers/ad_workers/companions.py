"""Keeps processes of their own beside a worker: the shipper always, the sweeper while there is a sweep."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field

from ad_platform.lifeline import requests_held_back

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds before one that died is started again
SHIPPER, SWEEPER = "ad_platform.tracking", "ad_workers.sweeping"


@dataclass
class Companion:
    """Starts `python -m MODULE --lifeline FD` and starts it again when it dies, for as long as it is wanted.

    It ends when the pipe this process holds reaches its end: when we close it, or when we are killed. A byte
    through that pipe tells it that there is news. One that ends by itself is left alone until it is wanted.
    """

    module: str
    always: bool = False  # whether it is started again even if it ended well
    wanted: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lifeline: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # a byte must not go into a pipe that is being closed
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def want(self) -> None:
        """Have it run; it does nothing if it runs already."""
        self.wanted.set()

    def poke(self) -> None:
        """Tell it that there is news, if it runs."""
        with self._lock, contextlib.suppress(OSError):
            if self._lifeline is not None:
                os.write(self._lifeline, b".")

    def close(self, patience: float) -> None:
        """Let it make a last round of at most so many seconds; what it misses is left to others."""
        self.closed.set()
        self.wanted.set()
        self._let_go()
        self._thread.join(patience)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()

    def _keep(self) -> None:
        while True:
            self.wanted.wait()
            if self.closed.is_set():
                return
            code = self._run()
            if self.closed.is_set():
                return
            if code == 0 and not self.always:
                self.wanted.clear()
                continue
            log.error("%s ended with code %d; starting it again", self.module, code)
            self.closed.wait(PAUSE)

    def _run(self) -> int:
        read, lifeline = os.pipe()
        os.set_blocking(lifeline, False)  # one that does not listen must not hold up a worker
        with requests_held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, "--lifeline", str(read)],
                pass_fds=(read,),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        os.close(read)
        with self._lock:
            self._lifeline = lifeline
        if self.closed.is_set():
            self._let_go()
        code = self._process.wait()
        self._let_go()
        return code

    def _let_go(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._lifeline is not None:
                os.close(self._lifeline)
            self._lifeline = None


def shipper() -> Companion:
    """Return the node's shipper, which runs as long as the worker: MLflow is heavy and may block."""
    companion = Companion(SHIPPER, always=True)
    companion.want()
    return companion


def sweeper() -> Companion:
    """Return the node's sweeper, which runs once somebody wants it: Optuna has no place beside leases."""
    return Companion(SWEEPER)
