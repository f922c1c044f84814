"""Every block of docs/deploy.md, in order, on services that run without Docker.

Lines with `docker` are replaced as REPLACED says; all others run in bash as they are printed, with `adctl`
of this environment. After the first `adctl cluster init` the .env is given ports that are free. What systemd
would start of the page's unit is started after `adctl cluster env`, with worker.env and with folders of this
run in the place of /storage, /data and /var/lib/adctl, and ended before the passwords change.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ad_cli.main import run
from ad_platform.cluster import dotenv
from composed import Composed, free_ports

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
SMALL = ("--train", "24", "--test-good", "4", "--per-defect", "1", "--size", "128", "--quiet")
INIT = "/docker-entrypoint-initdb.d/10-databases.sql"


def commands() -> list[str]:
    """Return what is typed, in order."""
    return [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]


@dataclass
class Desk:
    """The folder in which everything is typed."""

    folder: Path
    root: Path
    stack: Composed | None = None
    second: "subprocess.Popen[bytes] | None" = None  # the worker of another host
    before: list[str] = field(default_factory=list)  # lines that set the environment of those that follow

    @property
    def running(self) -> Composed:
        if self.stack is None:
            self.stack = Composed(self.folder, self.root)
        return self.stack

    def up(self, *names: str) -> None:
        self.running.renew()
        self.running.up(*(names or self.running.wanted()))

    def start_unit(self) -> None:
        """Start the worker of the page's unit, as the second host's systemd does, and wait for it."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(next(text for kind, text in BLOCKS if kind == "ini"))
        given = dotenv.parse((self.folder / "worker.env").read_text())
        given["ADCTL_STORAGE_URL"] = str(self.root / "volumes" / "storage")
        own = dict(pair.split("=") for pair in unit["Service"]["Environment"].split())
        own |= {"ADCTL_HOME": str(self.root / "second"), "ADCTL_DATA": str(self.folder / "data")}
        _, *arguments = shlex.split(unit["Service"]["ExecStart"].replace("%H", "second"))
        with (self.root / "second.log").open("wb") as log:
            self.second = subprocess.Popen(
                [sys.executable, "-m", "ad_cli", *arguments],
                env={**self.running.environment("worker"), **own, **given},
                stdout=log,
                stderr=log,
            )

        def there() -> bool:
            return "second" in self.running.run("client", "worker", "list", "--quiet").stdout.split()

        assert services.patient(there, self.second, 180), (self.root / "second.log").read_text()

    def end_unit(self) -> None:
        """Tell that worker to leave."""
        if self.second is not None:
            self.second.terminate()
            assert self.second.wait(120) == 0
            self.second = None

    def client(self, service: str, arguments: str) -> None:
        if service == "migrate":
            self.running.stop("migrate")
            self.running.up("migrate")
            return
        done = self.running.run(service, *shlex.split(arguments))
        assert done.returncode == 0, done.stderr + self.running.log("worker")

    def exec_postgres(self, line: str) -> None:
        """Run a command of PostgreSQL's image over its own socket, with what the shell makes of the line."""
        stack = self.running
        stack.read()
        placed = line.replace("-U postgres", f"-h {shlex.quote(str(stack.socket))} -U postgres")
        self.bash(placed.replace(INIT, str(stack.config("databases"))), stack.environment("postgres"))

    def bash(self, line: str, env: dict[str, str] | None = None) -> str:
        script = "\n".join(["set -euo pipefail", *self.before, line])
        given = env or {
            "PATH": f"{self.root / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHONPATH": ":".join(sys.path),
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout


# Every docker line of the page is one of these.
REPLACED: tuple[tuple[str, Callable[[Desk, re.Match[str]], None]], ...] = (
    (r"docker compose up --build --wait", lambda desk, _: desk.up()),
    (r"docker compose up --wait", lambda desk, _: desk.up()),
    (r"docker compose up --detach (\w+)", lambda desk, found: desk.up(found[1])),
    (r"docker compose build", lambda desk, _: None),  # the images are this environment
    (r"docker compose run --rm (client|migrate) ?(.*)", lambda desk, found: desk.client(found[1], found[2])),
    (r"docker compose stop (.+)", lambda desk, found: desk.running.stop(*found[1].split())),
    (r"docker compose exec postgres (.+)", lambda desk, found: desk.exec_postgres(found[1])),
)


@pytest.fixture
def desk() -> Iterator[Desk]:
    for part in ("torch", "mlflow", "optuna_dashboard", "flask_wtf"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    if shutil.which("redis-server") is None or shutil.which("psql") is None:
        services.unavailable("no redis-server or psql on the PATH")
    root = Path(tempfile.mkdtemp(prefix="adctl-deploy-", dir="/tmp"))
    (root / "cluster").mkdir()
    assert run(["data", "synth", str(root / "cluster/data/synth/screw"), *SMALL]) == 0
    made = Desk(root / "cluster", root / "run")
    script = root / "run" / "bin" / "adctl"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ad_cli "$@"\n')
    script.chmod(0o755)
    try:
        yield made
    finally:
        if made.second is not None:
            made.second.kill()
            made.second.wait()
        if made.stack is not None:
            made.stack.down()
        shutil.rmtree(root, ignore_errors=True)


def test_every_line_that_is_typed_does_what_it_says(desk: Desk) -> None:
    for line in commands():
        if line.endswith("--rotate"):
            desk.end_unit()
        if line.startswith("docker "):
            found = [(each, do) for pattern, do in REPLACED if (each := re.fullmatch(pattern, line))]
            assert len(found) == 1, f"{line} is replaced by nothing, or twice"
            found[0][1](desk, found[0][0])
        elif line.startswith("set -a"):
            desk.before.append(line)
            desk.bash("true")
        else:
            said = desk.bash(line)
            check_words(desk, line, said)
    for name in ("adctl.dump", "optuna.dump", "mlflow.dump"):
        assert (desk.folder / name).stat().st_size > 1000
    jobs = desk.running.run("client", "list", "--json").stdout
    assert '"succeeded"' in jobs, jobs


def check_words(desk: Desk, line: str, said: str) -> None:
    """Look at what a line has done, beyond that it did not fail."""
    if line == "adctl cluster init":
        free_ports(desk.folder / ".env")
    elif line.startswith("adctl cluster env"):
        desk.start_unit()
    elif line.startswith("adctl ui"):
        assert said.strip() == desk.running.address("mlflow")
    elif line.startswith(("adctl list", "adctl worker list")):
        assert len(said.splitlines()) > 1
    values = [value for name, value in dotenv.read(desk.folder).items() if dotenv.is_secret(name)]
    assert not any(value in said for value in values)
