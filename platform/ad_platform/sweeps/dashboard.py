"""Optuna's dashboard over the storage of sweeps, for looking: `python -m ad_platform.sweeps.dashboard`.

What sweeps do is decided in the store, and Optuna's record follows it; so nothing is changed here.
"""

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from socketserver import ThreadingMixIn
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ad_platform import cores, structured_logs
from ad_platform import settings as environment
from ad_platform.errors import AdctlError, MissingExtra, Unavailable
from ad_platform.settings import Settings
from ad_platform.sweeps.optuna_study import open_storage

log = logging.getLogger(__name__)

PORT = 8080  # inside a container, where nobody else is
HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})  # names it may be called by: what a browser is led to
LOOKING = frozenset({"GET", "HEAD"})
ONLY_FOR_LOOKING = "these pages are for looking; sweeps are changed with: adctl sweep"

Answer: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[dict[str, Any], Answer], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several at a time: a plot may take seconds."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Keeps quiet of requests: a page that is open makes one every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def serve(settings: Settings, host: str, port: int, listening: Callable[[], None] = lambda: None) -> None:
    """Serve the dashboard until the process ends, calling `listening` once it can be asked.

    Raises MissingExtra where it is not installed, StoreDown where Optuna's storage does not answer,
    Unavailable for a port that is taken.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise MissingExtra("Optuna's dashboard", "worker") from error
    app = only_for_looking(wsgi(open_storage(settings)))
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise Unavailable(f"the dashboard cannot listen on {host}:{port}: {error.strerror}") from error
    with server:
        listening()
        server.serve_forever()


def only_for_looking(app: App) -> App:
    """Return an application that refuses what changes something, and callers that a foreign page sent.

    Such a page cannot read answers of another site, unless its own name is made to lead here; then the
    browser says that name.
    """

    def guarded(asked: dict[str, Any], answer: Answer) -> Iterable[bytes]:
        host = urlsplit(f"//{asked.get('HTTP_HOST', '')}").hostname
        if host not in HOSTS:
            return _refuse(answer, "403 Forbidden", "call it by 127.0.0.1 or localhost")
        if asked["REQUEST_METHOD"] not in LOOKING:
            return _refuse(answer, "405 Method Not Allowed", ONLY_FOR_LOOKING)
        return app(asked, answer)

    return guarded


def _refuse(answer: Answer, status: str, why: str) -> list[bytes]:
    reason: Mapping[str, str] = {"reason": why}
    body = json.dumps(reason).encode()
    answer(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the dashboard where it is told to, and return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m ad_platform.sweeps.dashboard")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args(arguments)
    structured_logs.configure("%(asctime)s dashboard %(levelname)s %(message)s", level=logging.INFO)
    cores.leave_none()
    try:
        serve(environment.load(), given.host, given.port)
    except AdctlError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
