"""What a worker owes to whoever keeps it running: systemd hears of it, and as PID 1 it buries orphans."""

import contextlib
import os
import socket
import threading

import psutil

ROUND = 2.0  # seconds


def tell_keeper(*lines: str) -> None:
    """Tell systemd how the service is (sd_notify(3)), if it asked for that; nobody else hears it."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.settimeout(1.0)
        line.sendto("\n".join(lines).encode(), address)


def bury_orphans(stop: threading.Event) -> None:
    """Reap, until told to stop, what died without a parent but this process: nobody else does in a container.

    What this process has started itself is waited for at once by whoever started it, so only what has been
    dead for a whole round is an orphan.
    """
    before: set[int] = set()
    while not stop.wait(ROUND):
        dead = {child.pid for child in psutil.Process().children() if _is_dead(child)}
        for pid in dead & before:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        before = dead - before


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
