"""The dashboard of sweeps on this machine: runs under supervisord at a port that stays the same.

`python -m ad_platform.stack.dashboard` is started when somebody asks for it, which may be long after `up`: so
it looks for a port itself, and says which one once it listens.
"""

import json
import logging
import os
from dataclasses import asdict, dataclass
from functools import partial

from ad_platform import cores, structured_logs
from ad_platform import settings as environment
from ad_platform.errors import AdctlError
from ad_platform.settings import Settings
from ad_platform.stack import ports
from ad_platform.stack.places import Places

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Which process listens where, as it said itself."""

    port: int
    pid: int


def kept(places: Places) -> Listening | None:
    """Return what the dashboard said last; it may have ended since."""
    try:
        told = json.loads(places.dashboard.read_text())
        return Listening(port=int(told["port"]), pid=int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(settings: Settings) -> None:
    """Serve at the port of the last time if it is free, else at another one."""
    from ad_platform.sweeps.dashboard import serve

    places = Places(settings)
    last = kept(places)
    taken = {ports.kept(places)}  # where MLflow's pages are, or will be
    if last is not None and last.port not in taken and ports.is_free(last.port):
        port = last.port
    else:
        port = ports.free_from(f"{settings.home}/sweeps", taken)
    serve(settings, "127.0.0.1", port, partial(_keep, places, Listening(port=port, pid=os.getpid())))


def _keep(places: Places, now: Listening) -> None:
    log.info("listening on 127.0.0.1:%d", now.port)
    temporary = places.dashboard.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(now)))
    temporary.replace(places.dashboard)


def main() -> int:
    """Serve the dashboard and return an exit code."""
    structured_logs.configure("%(asctime)s dashboard %(levelname)s %(message)s", level=logging.INFO)
    cores.leave_none()
    try:
        run(environment.load())
    except AdctlError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
