"""Types docs/deploy.md, in order, on services that run without Docker: on one machine, or on hosts.

Lines with `docker` are replaced as REPLACED says, and what makes a host ready for a worker by this
environment; all others run in bash as they are printed, with `adctl` of this environment. After the first
`adctl cluster init` the .env is given ports that are free. What systemd would start of the page's unit is
started with worker.env and with folders of this run in the place of /data and /var/lib/adctl, and ended
before the passwords change. On one machine 127.0.0.1 takes the place of the page's address, and a folder that
of /storage.
"""

import configparser
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import services
from ad_platform.cluster import dotenv, recipes
from composed import Composed, free_ports

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
INIT = "/docker-entrypoint-initdb.d/10-databases.sql"
ADDRESS = "10.77.0.1"  # the page's first host


@dataclass(frozen=True)
class Line:
    """A line that is typed, or the text of a file that is written, and on whose host."""

    who: str  # "", "client" or "worker"
    text: str
    kind: str = "console"


def lines() -> list[Line]:
    """Return all that the page has a reader do, in order."""
    found = []
    for kind, text in BLOCKS:
        if kind == "console":
            for line in text.splitlines():
                prompt, typed = re.split(r"(?<=[$#]) ", line, maxsplit=1)
                found.append(Line(prompt[:-1], typed))
        elif kind in ("sh", "yaml"):
            found.append(Line("", text, kind))
    return found


@dataclass
class Desk:
    """The folder in which everything is typed, on one machine."""

    folder: Path
    root: Path
    stack: Composed | None = None
    units: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)  # lines that set the environment of those that follow
    address: str = services.LOOPBACK  # of the first host, in the place of the page's
    workers: tuple[str, ...] = ("second",)  # the hosts that compute

    @property
    def running(self) -> Composed:
        if self.stack is None:
            self.stack = Composed(self.folder, self.root)
        return self.stack

    def do(self, line: Line) -> None:
        """Do what one line of the page says, and look at what it has done."""
        text = line.text.replace(ADDRESS, self.address)
        if line.kind == "yaml":
            (self.folder / "compose.override.yaml").write_text(text)
        elif line.kind == "sh":
            self.write(text)
        elif line.who == "worker":
            self.prepare(text)
        elif text.startswith("docker "):
            found = [(each, do) for pattern, do in REPLACED if (each := re.fullmatch(pattern, text))]
            assert len(found) == 1, f"{text} is replaced by nothing, or twice"
            found[0][1](self, found[0][0])
        elif text.startswith("set -a"):
            self.before.append(text)
            self.bash("true", who=line.who)
        else:
            if text.endswith("--rotate"):
                self.end_units()
            self.look(text, self.bash(text, who=line.who))

    def look(self, line: str, said: str) -> None:
        """Look at what a line has done, beyond that it did not fail."""
        if line == "adctl cluster init":
            free_ports(self.folder / ".env")
        elif line == "adctl cluster env":
            self.hand_out()
        elif line.startswith("adctl ui"):
            assert said.strip() == self.running.address("mlflow").replace(services.LOOPBACK, self.address)
        elif line.startswith(("adctl list", "adctl worker list")):
            assert len(said.splitlines()) > 1
        values = [value for name, value in dotenv.read(self.folder).items() if dotenv.is_secret(name)]
        assert not any(value in said for value in values)

    def write(self, text: str) -> None:
        """Write settings into .env; a storage in S3 is for hosts that share no folder."""
        settings = dotenv.parse(text)
        example = dotenv.parse((recipes.source() / recipes.EXAMPLE).read_text())
        if set(settings) <= set(example) and "STORAGE_URL" not in settings:
            self.set(settings)

    def set(self, settings: dict[str, str]) -> None:
        """Change .env as an editor does."""
        place = self.folder / ".env"
        kept = [line for line in place.read_text().splitlines() if line.split("=")[0] not in settings]
        place.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in settings.items())]) + "\n")

    def hand_out(self) -> None:
        """Bring the files for other hosts to where they are read."""
        storage = self.root / "volumes" / "storage"
        for name in ("worker.env", "client.env"):
            file = self.folder / name
            file.write_text(file.read_text().replace("'/storage'", f"'{storage}'"))

    def prepare(self, line: str) -> None:
        """Do on each host that computes what its root does there."""
        if line == "systemctl enable --now adctl-worker":
            for name in self.workers:
                self.start_unit(name)
        else:  # the environment, its packages and the user are ours
            assert line.startswith(("python3 -m venv ", "/opt/adctl/bin/pip install ", "useradd ")), line

    def up(self, *names: str) -> None:
        self.running.renew()
        self.running.up(*(names or self.running.wanted()))
        self.running.publish()

    def start_unit(self, name: str) -> None:
        """Start the worker of the page's unit, as a host's systemd does, and wait for it."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(next(text for kind, text in BLOCKS if kind == "ini"))
        own = dict(pair.split("=") for pair in unit["Service"]["Environment"].split())
        own |= {"ADCTL_HOME": str(self.root / name), "ADCTL_DATA": str(self.data_of(name))}
        own["ADCTL_NODE"] = name  # as its own name would be, which all have from this machine
        _, *arguments = shlex.split(unit["Service"]["ExecStart"].replace("%H", name))
        with (self.root / f"{name}.log").open("ab") as log:
            self.units[name] = subprocess.Popen(
                [*self.prefix(name), sys.executable, "-m", "ad_cli", *arguments],
                env={**self.plain(), **own, **dotenv.parse((self.folder / "worker.env").read_text())},
                stdout=log,
                stderr=log,
            )

        def there() -> bool:
            return name in self.running.run("client", "worker", "list", "--quiet").stdout.split()

        assert services.patient(there, self.units[name], 180), (self.root / f"{name}.log").read_text()

    def prefix(self, name: str) -> list[str]:
        """Return what runs a command on another host."""
        del name
        return []

    def data_of(self, name: str) -> Path:
        """Return what a worker's host has as /data."""
        del name
        return self.folder / "data"

    def end_units(self) -> None:
        """Tell those workers to leave."""
        for name in [*self.units]:
            self.end_unit(name)

    def end_unit(self, name: str) -> None:
        """Tell one to leave."""
        unit = self.units.pop(name)
        unit.terminate()
        assert unit.wait(120) == 0

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

    def bash(self, line: str, env: dict[str, str] | None = None, who: str = "") -> str:
        """Type a line into a shell, and return what it printed."""
        done = subprocess.run(
            self.shell(line, who),
            cwd=self.folder,
            env=env or self.plain(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}{self.said_by_workers()}"
        return done.stdout

    def shell(self, line: str, who: str) -> list[str]:
        """Return what runs a line, in the environment that lines before it have set."""
        typed = line.replace(" /data/", f" {shlex.quote(str(self.folder / 'data'))}/")
        script = "\n".join(["set -euo pipefail", *self.before, typed])
        return [*(self.prefix(who) if who else []), "bash", "-c", script]

    def plain(self) -> dict[str, str]:
        """Return the environment of a shell that nobody has set anything in."""
        return {
            "PATH": f"{self.root / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "PYTHONPATH": ":".join(sys.path),
            "PYTHONWARNINGS": "ignore",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def said_by_workers(self) -> str:
        """Return the ends of the workers' logs."""
        return "".join(f"\n--- {name}\n{self.log_of(name)[-3000:]}" for name in self.units)

    def log_of(self, name: str) -> str:
        """Return what a worker of the page's unit has said."""
        return (self.root / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """End everything."""
        for unit in self.units.values():
            unit.kill()
            unit.wait()
        if self.stack is not None:
            self.stack.down()


def desk_in(root: Path) -> tuple[Path, Path]:
    """Make the folder in which one types, with `adctl`, and that of what runs; return both."""
    (root / "cluster").mkdir(exist_ok=True)
    script = root / "run" / "bin" / "adctl"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ad_cli "$@"\n')
    script.chmod(0o755)
    return root / "cluster", root / "run"


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
