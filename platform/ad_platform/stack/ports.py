"""Ports of pages: chosen once per ADCTL_HOME and kept, so that bookmarks stay right."""

import hashlib
import json
import socket
from collections.abc import Collection
from pathlib import Path

from ad_platform.stack.places import Places

FIRST, MANY = 20_000, 10_000


def kept(places: Places) -> int | None:
    """Return the port of MLflow's pages that was chosen before, if there is one."""
    try:
        return int(json.loads(places.state.read_text())["ui_port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(places: Places) -> int:
    """Return the kept port if it is free, else choose and keep another."""
    port = kept(places)
    if port is None or not is_free(port):
        port = free_from(str(places.settings.home))
        _keep(places.state, port)
    return port


def free_from(name: str, besides: Collection[int | None] = ()) -> int:
    """Return a free port: the search begins where a name says, and others begin elsewhere.

    So two homes that are started at once do not both find the same port free.
    """
    start = int(hashlib.sha256(name.encode()).hexdigest(), 16) % MANY
    wanted = (FIRST + (start + n) % MANY for n in range(MANY))
    return next(port for port in wanted if port not in besides and is_free(port))


def is_free(port: int) -> bool:
    """Say whether nobody listens on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _keep(state: Path, port: int) -> None:
    temporary = state.with_suffix(".tmp")
    temporary.write_text(json.dumps({"ui_port": port}))
    temporary.replace(state)
