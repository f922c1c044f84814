"""How many CPUs this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable(own_cgroup: Path = OWN_CGROUP, cgroups: Path = CGROUPS) -> int:
    """Return how many CPUs may be used at once: those of the affinity mask, within the cgroup v2 quota.

    A process whose threads outnumber its CPUs spends its time waiting for them.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        allowed = os.cpu_count() or 1
    quota = _quota(own_cgroup, cgroups)
    return max(1, allowed if quota is None else min(allowed, ceil(quota)))


def _quota(own_cgroup: Path, cgroups: Path) -> float | None:
    """Return the least CPU quota of this process's cgroup and those above it; None where there is none."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return None
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return None
    # In a container the path may be the host's, whose folders do not exist here: the root is then its own.
    folder = cgroups / own.lstrip("/")
    above = [each for each in folder.parents if each.is_relative_to(cgroups)]
    quotas = [_quota_of(each / "cpu.max") for each in (folder, *above)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_of(file: Path) -> float | None:
    """Read "QUOTA PERIOD", in microseconds, or "max PERIOD"."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period) if quota != "max" else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
