"""No core files: the memory of a process that crashed holds the passwords it was started with."""

import os
from contextlib import suppress


def leave_none() -> None:
    """Let this process and those it starts leave no core file, unless ADCTL_DEBUG=1 asks for what helps."""
    if os.environ.get("ADCTL_DEBUG") == "1":
        return
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
