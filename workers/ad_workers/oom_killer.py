"""How often the kernel has killed processes for want of memory: who dies by its hand cannot say why."""

from pathlib import Path

ROOT = Path("/")


def kills(root: Path = ROOT) -> int:
    """Return a number that grows whenever one is, in this control group or on the machine; 0 if unknown.

    If it has grown while a child lived that ended by SIGKILL, and not by ours, that is taken for the cause.
    """
    return _of_groups(root) + _count(root / "proc/vmstat", "oom_kill")


def _of_groups(root: Path) -> int:
    """Return the count of the innermost control group that has one, of either version."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return 0
    found = 0
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inner = path.lstrip("/")
        if not controllers:
            mount, file = root / "sys/fs/cgroup", "memory.events"
        elif "memory" in controllers.split(","):
            mount, file = root / "sys/fs/cgroup/memory", "memory.oom_control"
        else:
            continue
        # Within a container the path may be that of the host, and the group itself is mounted.
        found = max(found, _count(mount / inner / file, "oom_kill"), _count(mount / file, "oom_kill"))
    return found


def _count(file: Path, name: str) -> int:
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return 0
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == name), 0)
