"""The clock leases are held against: it goes on while the machine sleeps and never jumps."""

import time


def boottime() -> float:
    """Return seconds since the machine started; equal in every process of the machine."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS's monotonic clock serves there
    return time.clock_gettime(clock)
