"""The port of MLflow's user interface: chosen once per ADCTL_HOME and kept, so that bookmarks stay right."""

import hashlib
import json
import socket
from pathlib import Path

from ad_platform.stack.places import Places

FIRST, MANY = 20_000, 10_000


def kept(places: Places) -> int | None:
    """Return the port chosen before, if there is one."""
    try:
        return int(json.loads(places.state.read_text())["ui_port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(places: Places) -> int:
    """Return the kept port if it is free, else choose and keep another."""
    port = kept(places)
    if port is None or not is_free(port):
        # By the home's name, so that two homes started at once do not both find the same port free.
        start = int(hashlib.sha256(str(places.settings.home).encode()).hexdigest(), 16) % MANY
        port = next(one for n in range(MANY) if is_free(one := FIRST + (start + n) % MANY))
        _keep(places.state, port)
    return port


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
