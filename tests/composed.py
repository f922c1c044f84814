"""Runs the services of a compose.yaml without Docker: their own command lines, environments, health checks.

What is translated, and nothing else:
* addresses of services (`redis:6379`) and of listeners (`0.0.0.0`, the port of a service) become ports of the
  loopback; redis-server and postgres, which name no port, are given one;
* paths inside containers (volumes, configs) become folders and files of this run;
* what an image does by itself: the entrypoint that the Dockerfile names, and of PostgreSQL's image initdb
  with its password, the files of docker-entrypoint-initdb.d, and that it runs as somebody else than root;
* `adctl`, `python` and `celery` are those of this environment, and each container has a home of its own.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import netns
import services
from ad_platform.cluster import dotenv

PATIENCE = 180.0
PORTS = {
    "redis": 6379,
    "postgres": 5432,
    "mlflow": 5000,
    "optuna-dashboard": 8080,
    "flower": 5555,
    "metrics": 9464,
    "worker": 9465,
}
PUBLISHED = {  # the variables of .env that say where, if they do
    "redis": "REDIS_PORT",
    "postgres": "POSTGRES_PORT",
    "mlflow": "MLFLOW_PORT",
    "optuna-dashboard": "DASHBOARD_PORT",
    "flower": "FLOWER_PORT",
    "metrics": "METRICS_PORT",
}
PROGRAMS = {"adctl": "-m ad_cli", "python": "", "celery": "-m celery"}
VARIABLE = re.compile(r"\$\$|\$\{([A-Z_]+)(?:(:-|:\?)([^}]*))?\}")
INIT = "/docker-entrypoint-initdb.d"


def free_ports(env: Path) -> None:
    """Have a .env publish on ports that are free, as whoever has something else on 5000 does."""
    known = env.read_text()
    for name in PUBLISHED.values():
        known = re.sub(rf"^{name}=.*\n", "", known, flags=re.M) + f"{name}={services.free_port()}\n"
    env.write_text(known)


@dataclass
class Composed:
    """The services of one folder that holds compose.yaml and .env."""

    folder: Path  # of compose.yaml
    root: Path  # where volumes, configs and logs lie
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    started: dict[str, str] = field(default_factory=dict)  # what each was started with
    published: dict[str, netns.Relay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read()
        self.ports = {name: self._port(name) for name in PORTS}
        self.bin = self.root / "bin"
        self.bin.mkdir(parents=True, exist_ok=True)
        for name, module in PROGRAMS.items():
            script = self.bin / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -W ignore {module} "$@"\n')
            script.chmod(0o755)

    def _port(self, name: str) -> int:
        return int(self.env.get(PUBLISHED.get(name, ""), 0)) or services.free_port()

    def read(self) -> None:
        """Read .env and compose.yaml as they are now."""
        self.env = dotenv.read(self.folder)
        self.file: dict[str, Any] = self._filled(yaml.safe_load((self.folder / "compose.yaml").read_text()))
        self.services: dict[str, Any] = self.file["services"]
        if (override := self.folder / "compose.override.yaml").exists():
            for name, more in self._filled(yaml.safe_load(override.read_text()))["services"].items():
                self.services[name] |= more

    def wanted(self) -> list[str]:
        """Return the services that `docker compose up` starts by the profiles of .env."""
        profiles = set(self.env.get("COMPOSE_PROFILES", "").split(","))
        return [
            name
            for name, each in self.services.items()
            if not each.get("profiles") or profiles & {*each["profiles"]}
        ]

    def renew(self) -> None:
        """Read everything anew, and stop what was started with something else, or has ended."""
        self.read()
        changed = [name for name in self.processes if self.started[name] != self._state(name)]
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        self.stop(*changed, *ended)

    def up(self, *names: str) -> None:
        """Start services that do not run, and before them what they depend on."""
        for name in names:
            if name in self.processes:
                continue
            self.started[name] = self._state(name)
            self.up(*self.services[name].get("depends_on", {}))
            if self.services[name].get("restart") == "no":
                self.processes[name] = self._start(name)
                assert self.processes[name].wait(PATIENCE) == 0, self.log(name)
                continue
            self._prepare(name)
            self.processes[name] = self._start(name)
            assert services.patient(lambda name=name: self.healthy(name), self.processes[name], PATIENCE), (
                f"{name} does not become healthy: {self.log(name)}"
            )
            if name == "postgres":
                self._init_databases()

    def publish(self) -> None:
        """Pass on what runs and is published beyond the loopback, as Docker's proxy does."""
        for name in self.processes:
            for port in self.services[name].get("ports", []):
                address = port.split(":")[0]
                if address != services.LOOPBACK and name not in self.published:
                    relay = netns.Relay(services.LOOPBACK, self.ports[name], address=address)
                    self.published[name] = relay

    def run(self, name: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a service's image once with other arguments: docker compose run --rm NAME ARGUMENTS."""
        self.up(*self.services[name].get("depends_on", {}))
        placed = [self._placed(name, part) for part in arguments]
        return self._call([*self._entrypoint(name), *placed], {**self.environment(name), **more})

    def down(self) -> None:
        """Stop everything."""
        self.stop(*self.processes)
        while self.published:
            self.published.popitem()[1].close()

    def stop(self, *names: str) -> None:
        """Stop services, last started first."""
        for name in reversed(list(self.processes)):
            if name not in names:
                continue
            process = self.processes.pop(name)
            if process.poll() is None:
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def healthy(self, name: str) -> bool:
        """Run a service's own health check, of compose.yaml or else of the Dockerfile."""
        test = self.services[name].get("healthcheck", {}).get("test") or self._stage(name, "HEALTHCHECK")
        command = (
            ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else [part for part in test if part != "CMD"]
        )
        command = [self._placed(name, part) for part in command]
        done = subprocess.run(
            command, env=self.environment(name), capture_output=True, check=False, timeout=60
        )
        return done.returncode == 0

    def log(self, name: str) -> str:
        """Return the end of what a service has said."""
        return (self.root / f"{name}.log").read_text(errors="replace")[-3000:]

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service's processes."""
        home = self.root / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        given = {
            key: self._placed(name, str(value))
            for key, value in (self.services[name].get("environment") or {}).items()
        }
        for file in self.services[name].get("env_file") or []:
            if (self.folder / file["path"]).exists():
                given |= dotenv.parse((self.folder / file["path"]).read_text())
        path = f"{self.bin}:{services.postgres_binaries()}:{os.environ['PATH']}"
        ours = {
            "PATH": path,
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONWARNINGS": "ignore",
        }
        extra = {"PGPORT": str(self.ports["postgres"])} if name == "postgres" else {}
        calm = {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "TMPDIR") if name in os.environ}
        return {**ours, **calm, **extra, **given}

    def address(self, name: str) -> str:
        """Return where a service's pages are."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def _call(self, command: list[str], env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=env, cwd=self.folder, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        command = [*self._entrypoint(name), *map(str, self.services[name].get("command") or [])]
        command = [self._placed(name, part) for part in command]
        user = None
        if name == "redis":
            command += [
                "--port",
                str(self.ports[name]),
                "--bind",
                "127.0.0.1",
                "--dir",
                self._placed(name, "/data"),
            ]
        if name == "postgres":
            user = self._servant
            command[1:1] = ["-D", str(self.socket), "-k", str(self.socket), "-h", "127.0.0.1"]
        with (self.root / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [shutil.which(command[0], path=self.environment(name)["PATH"]) or command[0], *command[1:]],
                env=self.environment(name),
                cwd="/",
                user=user,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _entrypoint(self, name: str) -> list[str]:
        if "entrypoint" in self.services[name]:
            return list(self.services[name]["entrypoint"])
        return self._stage(name, "ENTRYPOINT") if "build" in self.services[name] else []

    def _stage(self, name: str, word: str) -> list[str]:
        """Return the list that an instruction of the Dockerfile has for a service's target."""
        target = self.services[name]["build"]["target"]
        text = (self.folder / "Dockerfile").read_text().replace("\\\n", " ")
        stage = next(each for each in re.split(r"^FROM ", text, flags=re.M) if f" AS {target}\n" in each)
        line = next(each for each in stage.splitlines() if each.startswith(word))
        return list(json.loads(line[line.index("[") :]))

    def _filled(self, found: Any) -> Any:
        """Fill in variables as compose does; raise KeyError for a demanded one that is missing."""
        if isinstance(found, dict):
            return {name: self._filled(each) for name, each in found.items()}
        if isinstance(found, list):
            return [self._filled(each) for each in found]
        return VARIABLE.sub(self._value, found) if isinstance(found, str) else found

    def _value(self, match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        value = self.env.get(match[1]) or ("tester" if match[1] == "USER" else "")
        if not value and match[2] == ":?":
            raise KeyError(match[1])
        return value or (match[3] if match[2] == ":-" else "")

    def _placed(self, name: str, text: str) -> str:
        """Return a text with addresses and paths as they are here."""
        for service, port in PORTS.items():
            text = text.replace(f"{service}:{port}", f"127.0.0.1:{self.ports[service]}")
        if name in PORTS:
            port = PORTS[name]
            text = re.sub(rf"(-port=|127\.0\.0\.1:){port}\b|^{port}$", rf"\g<1>{self.ports[name]}", text)
            text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - replaced: here is no container
            text = text.replace("redis-cli", f"redis-cli -p {self.ports['redis']}")
        for each in self.services[name].get("configs", []):
            if each["target"] in text:
                text = text.replace(each["target"], str(self.config(each["source"])))
        for mount in self.services[name].get("volumes", []):
            source, inside = mount.removesuffix(":ro").rsplit(":", 1)
            if text == inside or text.startswith(f"{inside}/"):
                host = (self.folder / source) if source[0] in "./" else self.root / "volumes" / source
                host.mkdir(parents=True, exist_ok=True)
                text = str(host) + text.removeprefix(inside)
        return text

    def _state(self, name: str) -> str:
        configs = [self.file["configs"][each["source"]] for each in self.services[name].get("configs", [])]
        return json.dumps([self.services[name], configs], sort_keys=True)

    def config(self, source: str) -> Path:
        """Return the file of a config, as its text is now."""
        place = self.root / "configs" / source
        place.parent.mkdir(exist_ok=True)
        known = self.file["configs"][source]
        place.write_text(
            known["content"] if "content" in known else (self.folder / known["file"]).read_text()
        )
        return place

    @property
    def socket(self) -> Path:
        """Return the folder of PostgreSQL's data, where its socket lies too."""
        return self.root / "volumes" / "postgres" / "data"

    def _prepare(self, name: str) -> None:
        """Do what PostgreSQL's image does before it starts."""
        if name != "postgres" or self.socket.exists():
            return
        self.socket.parent.mkdir(parents=True)
        for folder in (self.root.parent, self.root, self.root / "volumes"):
            folder.chmod(0o711)  # the server runs as somebody else
        self._servant = services.servant(self.socket.parent)
        password = self.socket.parent / "password"
        password.write_text(self.environment(name)["POSTGRES_PASSWORD"])
        if self._servant:
            shutil.chown(password, self._servant)
        command = [
            str(services.postgres_binaries() / "initdb"),
            "-D",
            str(self.socket),
            "-U",
            "postgres",
            "-N",
        ]
        command += [
            "--pwfile",
            str(password),
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "-E",
            "UTF8",
        ]
        subprocess.run(command, user=self._servant, cwd=self.socket.parent, capture_output=True, check=True)
        password.unlink()

    def _init_databases(self) -> None:
        """Run the files of docker-entrypoint-initdb.d as PostgreSQL's image does."""
        for each in self.services["postgres"]["configs"]:
            if each["target"].startswith(INIT):
                done = self.psql("-f", str(self.config(each["source"])))
                assert done.returncode == 0, done.stderr

    def psql(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Speak to PostgreSQL over its socket, as inside its container."""
        command = ["psql", "-h", str(self.socket), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "--no-psqlrc"]
        return self._call([*command, *arguments], self.environment("postgres"))
