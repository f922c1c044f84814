"""What the C library does with freed memory: keep it for the next tensor, or give it back to the kernel."""

from __future__ import annotations

import ctypes

# malloc.h of glibc; neither macOS nor musl has mallopt.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


def keep_freed() -> bool:
    """Let this process keep what it frees until it ends; return False where the C library cannot.

    Otherwise every tensor of more than 32 MiB is new memory, which the kernel clears page by page: on a
    virtual machine that takes longer than to compute what comes into it. A process that computes needs as
    much again a moment later. It is for a process of our own: what it had at its peak stays its own.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    # No block apart from the heap, and no end of the heap given back.
    return bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, NEVER))
