"""A worker makes the rings that a client of the same machine owes; a new process would first load Celery.

A client that finds no answer rings by itself, so a doorbell can only save time. What is asked for is to relay
the outbox, nothing more: whoever knocks needlessly does no harm.
"""

import contextlib
import hashlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from ad_platform.errors import AdctlError, BrokerDown
from ad_platform.settings import Settings

log = logging.getLogger(__name__)

GREETING = 0.3  # seconds a worker has to say that it heard: one that is stopped or busy is not waited for
PATIENCE = 3.0  # seconds it then has for the rings: longer than it takes to find the broker down
HEARD = b"."


def bells(settings: Settings) -> Path:
    """Return the folder of the doorbells of those who share a store and a broker on this machine."""
    mark = hashlib.sha256(f"{settings.database_url}\n{settings.broker_url}".encode()).hexdigest()[:8]
    return settings.run_dir / f"bells-{mark}"


def knock(settings: Settings) -> bool:
    """Have a worker of this machine relay what is owed; False if none answers, BrokerDown if it cannot."""
    folder = bells(settings)
    try:
        if folder.lstat().st_uid != os.getuid():
            return False
        doors = sorted(folder.iterdir())
    except (OSError, AttributeError):  # nobody has a bell; or Windows, which knows no such owners
        return False
    for door in doors:
        answer = _ask(door)
        if answer is not None:
            if answer:
                raise BrokerDown(answer)
            return True
    return False


def _ask(door: Path) -> str | None:
    """Return what was in the worker's way, "" for nothing, None if nobody answers at this door."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(GREETING)
            line.connect(str(door))
            if line.recv(1) != HEARD:
                return None
            line.settimeout(PATIENCE)
            with line.makefile("rb") as reader:
                return str(json.loads(reader.readline())["trouble"])
    except (OSError, ValueError, KeyError):  # the door of a worker that is dead, or has ended meanwhile
        return None


class Doorbell:
    """Answers knocks in a thread of its own until closed."""

    def __init__(self, settings: Settings, worker: str, relay: Callable[[], object]) -> None:
        name = hashlib.sha256(worker.encode()).hexdigest()[:8]  # short: a socket's path holds 100 characters
        self._door = bells(settings) / name
        self._relay = relay
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._door.parent.mkdir(mode=0o700, exist_ok=True)
            self._door.unlink(missing_ok=True)  # of a worker of this name that was killed
            self._listener.bind(str(self._door))
            self._listener.listen(16)
        except BaseException:
            self._listener.close()
            raise
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        with contextlib.suppress(OSError):
            self._door.unlink()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()

    def _answer(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                line.sendall(HEARD)
                try:
                    line.sendall(json.dumps({"trouble": self._trouble()}).encode() + b"\n")
                except AdctlError as error:  # no answer: whoever knocked rings by itself
                    log.warning("a knock: %s", error)

    def _trouble(self) -> str:
        try:
            self._relay()
        except BrokerDown as error:
            return str(error)
        return ""
