"""Requests to end that a call may not miss: Ctrl-C, and SIGTERM where something else is to happen."""

import os
import signal
import threading
from types import FrameType

from ad_cli.exits import Exit

came: list[int] = []  # the signals so far that became KeyboardInterrupt


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and note it: a module that is being imported may make another error of it."""
    came.append(number)
    raise KeyboardInterrupt


def exit_at_once_on(*numbers: signal.Signals) -> None:
    """Have signals end this process while it holds nothing yet; a container's first one is deaf otherwise."""
    if threading.current_thread() is threading.main_thread():  # who else calls may not set any
        for number in numbers:
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    # What a module raises while it is imported may never arrive: some swallow it, and numpy makes an
    # ImportError of it.
    os._exit(os.EX_OK if number == signal.SIGTERM else Exit.INTERRUPTED)
