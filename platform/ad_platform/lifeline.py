"""Whether a companion process is to end, and whether there is news: told through its holder's pipe."""

import os
import select
import threading


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
