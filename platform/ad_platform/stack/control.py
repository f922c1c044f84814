"""Talks to a running supervisord over its socket."""

from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, ServerProxy

from ad_platform.errors import Unavailable


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """How a service stands."""

    name: str
    state: str  # running, starting, backoff, stopped, exited, fatal, stopping
    pid: int  # 0 when it does not run
    since: float  # seconds since the epoch
    detail: str = ""  # supervisord's words on why it does not run


class Control:
    """A supervisord; every method raises Unavailable when it does not answer."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def answers(self) -> bool:
        """Say whether a supervisord is there."""
        try:
            self._call("getState")
        except Unavailable:
            return False
        return True

    def states(self) -> list[ServiceState]:
        """Return the services in the order they are started."""
        # What was never started comes last.
        found = sorted(self._call("getAllProcessInfo"), key=lambda info: info["start"] or float("inf"))
        return [
            ServiceState(
                name=str(info["name"]),
                state=str(info["statename"]).lower(),
                pid=int(info["pid"]),
                since=float(info["start"]),
                detail=str(info["spawnerr"]),
            )
            for info in found
        ]

    def start(self, name: str) -> None:
        """Start a service that is down, without waiting for it."""
        self._call("startProcess", name, False)

    def shut_down(self) -> None:
        """Have supervisord stop every service and leave."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            return getattr(ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(
                *arguments
            )
        except (OSError, Error, HTTPException) as error:
            raise Unavailable(
                f"the services of this machine do not answer ({error}); start them: adctl up"
            ) from error
        finally:
            transport.close()
