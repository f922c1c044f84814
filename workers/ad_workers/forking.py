"""What an attempt needs to know before and after it forks a process of its own."""

import contextlib
import os
import threading
from pathlib import Path


def alone() -> bool:
    """Say whether this process has but one thread."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return threading.active_count() == 1


def let_go(kept: int) -> None:
    """Close every descriptor but the standard ones and one: the attempt's line must end with the attempt."""
    try:
        numbers = [int(each.name) for each in Path("/proc/self/fd").iterdir()]
    except OSError:
        numbers = list(range(256))
    for number in numbers:
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):
                os.close(number)
