"""An MLflow server of our own that tests stop and start again at the same address, with what it held."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import services
from mlflow_home import copy_database, mlflow_home
from netns import Host

PATIENCE = 120.0


@dataclass
class MortalMlflow:
    """`mlflow server` over a SQLite file, which outlives it: on loopback, or on a host of its own."""

    port: int
    folder: Path
    host: Host | None = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Return where it listens."""
        return self.host.address if self.host else services.LOOPBACK

    @property
    def url(self) -> str:
        """Return the address that stays the same."""
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.process is not None:
            return
        command = (
            *(sys.executable, "-m", "mlflow", "server", "--host", self.address, "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        )
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(*command) if self.host else command,
                stdout=log,
                stderr=log,
                # As `adctl up` starts it: its own jobs would be six processes more.
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "mlflow.log").read_text()[-2000:]
            assert time.monotonic() < end, "MLflow did not start"
            threading.Event().wait(0.2)

    def answers(self) -> bool:
        """Say whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def leave(self) -> None:
        """Be away: dead, or where it is a host of its own, alive behind a cable that was pulled."""
        if self.host is None:
            self.kill()
        else:
            self.host.cut()

    def come_back(self) -> None:
        """Be there again."""
        if self.host is not None:
            self.host.heal()
        self.start()


@contextmanager
def mortal_mlflow(folder: Path, host: Host | None = None) -> Iterator[MortalMlflow]:
    """Give such a server, which does not run yet, on a database that is ready."""
    folder.mkdir(parents=True)
    copy_database(mlflow_home()[0].home / "mlflow.db", folder / "mlflow.db")
    server = MortalMlflow(services.free_port(), folder, host)
    try:
        yield server
    finally:
        server.kill()
