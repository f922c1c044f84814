"""Ways to see whether a service answers, and what it said last if it does not."""

import socket
import time
from collections.abc import Callable
from pathlib import Path


def broker_answers(path: Path, timeout: float = 1.0) -> bool:
    """Say whether a Redis or Valkey behind a unix socket answers a PING and has read its data."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Look again and again until a condition holds; False if it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def last_words(log: Path) -> str:
    """Return the last line of a log that says anything."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "it left no word"
    return next((line.strip() for line in reversed(lines) if line.strip()), "it left no word")
