"""Real services for tests: PostgreSQL and Redis servers of our own, on loopback, gone with the tests."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest

START_SECONDS = 60.0
LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1


def unavailable(reason: str) -> NoReturn:
    """Skip the test here, but fail it in CI, where every service must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL server on which databases can be made."""

    port: int
    _numbers: Iterator[int]
    address: str = LOOPBACK

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://adctl@{self.address}:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database, a copy of another one, and return its address."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        self._run(f'DROP DATABASE "{url.rsplit("/", 1)[1]}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_server(
    *, durable: bool = False, address: str = LOOPBACK, more: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server that trusts everybody and, unless durable, survives no power cut.

    `more` are settings of its configuration file.
    """
    binaries = postgres_binaries()
    with _folder("pg") as folder:
        user = servant(folder)
        data, port = folder / "data", free_port()
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "adctl", "-A", "trust", "-E", "UTF8", "-N"]
        done = subprocess.run(initdb, user=user, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            unavailable(f"initdb failed: {done.stderr.strip()[-300:]}")
        with (data / "pg_hba.conf").open("a") as trusted:
            trusted.write(f"host all all {address}/24 trust\n")
        options = {
            "listen_addresses": address,
            "unix_socket_directories": str(folder),
            **({} if durable else dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")),
            "max_connections": "100",
            "deadlock_timeout": "100ms",
            **(more or {}),
        }
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        server = PostgresServer(port, count(1), address)

        def answers() -> bool:
            return _listens(port, address) and _accepts(server)

        with _running(command, folder, answers, user=user, stop=signal.SIGINT):
            yield server


@dataclass(frozen=True)
class RedisServer:
    """A running redis-server."""

    port: int

    @property
    def url(self) -> str:
        """Return the server's address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Forget everything, as after an accident."""
        import redis

        with redis.Redis(port=self.port) as client:
            client.flushall()


@contextmanager
def redis_server(*, persistent: bool = False, folder: Path | None = None) -> Iterator[RedisServer]:
    """Run a redis-server; a persistent one appends to a file in `folder` and so survives its own death."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        unavailable("no redis-server on the PATH: apt install redis-server")
    with _folder("redis") as scratch:
        port = free_port()
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": str(folder or scratch),
            "save": "",
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        command = [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]
        with _running(command, scratch, lambda: _listens(port), stop=signal.SIGTERM):
            yield RedisServer(port)


def patient(answers: Callable[[], bool], process: "subprocess.Popen[bytes]", seconds: float = 90.0) -> bool:
    """Wait until a process that was started answers; say no where it has ended, or takes too long."""
    deadline = time.monotonic() + seconds
    while not answers():
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
        return False
    return True


def real_data_folder() -> Path:
    """Return the folder with the real images (mvtec/...), or skip."""
    named = os.environ.get("ADCTL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "mvtec").is_dir():
        unavailable(f"no real images in {folder}: set ADCTL_TEST_DATA to a folder that holds mvtec/")
    return folder


def postgres_binaries() -> Path:
    """Return the folder of the server's programs, or skip."""
    versions = Path("/usr/lib/postgresql")
    packaged = sorted(versions.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    for folder in [*([Path(found).parent] if found else []), *packaged]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    unavailable("no PostgreSQL server (initdb) on this machine: apt install postgresql")


def servant(folder: Path) -> str | None:
    """Return the user to run as, owner of the folder: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    name = next((name for name in ("postgres", "nobody") if name in known), None)
    if name is None:
        unavailable("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
    shutil.chown(folder, name)
    return name


@contextmanager
def _folder(kind: str) -> Iterator[Path]:
    # Short, since sockets lie in it, and not under pytest's folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix=f"adctl-{kind}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    command: Sequence[str],
    folder: Path,
    answers: Callable[[], bool],
    *,
    stop: signal.Signals,
    user: str | None = None,
) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            user=user,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            _await(process, answers, log)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
        unavailable(f"the server did not start: {log.read_text(errors='replace').strip()[-300:]}")


def _die_with_parent() -> None:
    # A killed test run must not leave servers behind.
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listens(port: int, address: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def _accepts(server: PostgresServer) -> bool:
    import psycopg

    try:
        psycopg.connect(server.url("postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:  # still starting up
        return False
    return True
