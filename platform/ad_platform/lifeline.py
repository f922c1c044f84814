"""Whether a companion process is to end, and whether there is news: told through its holder's pipe."""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

REQUESTS = (signal.SIGTERM, signal.SIGINT)  # to end


@contextmanager
def requests_held_back() -> Iterator[None]:
    """Start processes here that no request to end can meet before they have chosen what it is to do.

    systemd and a container's host may send SIGTERM to every process at once, to some while they still import.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_requests_to_the_holder() -> None:
    """Ignore requests to end from now on, those held back until now too: the lifeline says when to."""
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)


class Stop:
    """Says whether to go on, and waits without missing the end, or news where they matter."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._asked = self._news = False

    def __call__(self, *_: object) -> None:
        """Ask for the end; fits a signal handler."""
        # A handler may run while this very thread holds the lock, so it takes none.
        self._asked = True

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked

    def wait(self, seconds: float, *, news: bool = False) -> bool:
        """Wait for the end, or with `news` for either, and return whether the end was asked for meanwhile."""
        with self._change:
            left = seconds
            while not self._asked and not (news and self._news) and left > 0:
                self._change.wait(min(left, 0.25))
                left -= 0.25
            self._news = False
        return self._asked

    def at_end_of(self, lifeline: int) -> None:
        """Ask for the end when the other side of a pipe is closed: its holder died or let go."""
        threading.Thread(target=self._watch, args=(lifeline,), daemon=True).start()

    def _watch(self, lifeline: int) -> None:
        while not self.asked:
            ready, _, _ = select.select([lifeline], [], [], 5.0)
            if ready:
                said = os.read(lifeline, 1024)
                with self._change:
                    self._news, self._asked = True, self._asked or not said
                    self._change.notify_all()
