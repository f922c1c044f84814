"""Work done in a process of its own that dies at an edge (SIGKILL), forked: nothing is imported anew."""

import os
import warnings
from collections.abc import Callable

from ad_platform import failpoints

KILLED = -9


def dying(work: Callable[[], object], trap: str) -> int:
    """Do something in a process in which an edge is armed, and return how it ended: 0, or minus a signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests are none of ours
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ[failpoints.VARIABLE] = trap
            failpoints._armed.cache_clear()
            failpoints._hits.clear()
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
