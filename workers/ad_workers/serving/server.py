"""The server: LitServe's processes with our intake, scorers, metrics and ends."""

import json
import multiprocessing
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ad_platform.errors import InvalidRequest, Unavailable
from ad_platform.specs import Json
from ad_workers.serving.ending import end_at_request, end_children
from ad_workers.serving.litserve_log import LitServeLog
from ad_workers.serving.offered import Current, Offered, write
from ad_workers.serving.orphans import die_with_parent

HOSTS = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "0.0.0.0": "0.0.0.0", "::": "::"}  # noqa: S104
PORTS = range(1024, 65536)
PATIENCE = 30.0  # seconds that a request may wait for a scorer
BACKLOG = 512  # requests at a time; what comes beyond them is asked to come back
CURRENT = "served.json"
SHORT = 64  # letters of a folder that may hold multiprocessing's sockets, which are left where one is killed


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a model is served."""

    text: str  # the model, as a person named it
    host: str
    port: int
    workers: int  # scorers, each with the model in memory
    max_batch: int  # requests that are scored together
    max_wait: float  # seconds that a request waits for others
    most: int  # bytes of a request
    device: str
    every: float  # seconds between two looks whether the alias has moved; 0: never

    def __post_init__(self) -> None:
        """Refuse an address that cannot be listened on."""
        if self.host not in HOSTS:
            raise InvalidRequest(f"--host is 127.0.0.1, 0.0.0.0 (everybody) or ::, not '{self.host}'")
        family = socket.AF_INET6 if self.host == "::" else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOSTS[self.host], self.port))
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                raise Unavailable(f"port {self.port} cannot be had: {why}; name another: --port N") from error

    @property
    def url(self) -> str:
        """Return where it answers."""
        return (
            f"http://{'127.0.0.1' if self.host in ('localhost', '0.0.0.0', '::') else self.host}:{self.port}"  # noqa: S104
        )


def run(serving: Serving, offered: Offered, known: tuple[Json, ...]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are being answered then are answered.

    Raises Unavailable if the scorers cannot load the model, or all is lost later on.
    """
    with tempfile.TemporaryDirectory(prefix="adctl-serve-") as name:
        folder = Path(name)
        if len(name) <= SHORT:
            tempfile.tempdir = name
        write(offered, folder / CURRENT)
        (folder / "metrics").mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")  # before its client is imported
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            _serve(serving, folder / CURRENT, known)
        finally:
            end_children()


def _serve(serving: Serving, current: Path, known: tuple[Json, ...]) -> None:
    log = LitServeLog()
    end_at_request(serving.port, current.parent, log.expect_the_end)
    server = _built(serving, current)
    log.take_over()
    follower = None
    if serving.every:
        from ad_workers.serving.following import follow

        follower = multiprocessing.get_context("spawn").Process(
            target=follow, args=(serving.text, current, serving.every, known), daemon=True
        )
        follower.start()
    os.register_at_fork(after_in_child=die_with_parent)
    try:
        server.run(
            host=HOSTS[serving.host],
            port=serving.port,
            num_api_servers=1,
            log_level="warning",
            generate_client_file=False,
            limit_concurrency=BACKLOG,
        )
    except KeyboardInterrupt:  # LitServe was not yet, or no more, where it catches it
        pass
    except RuntimeError as error:
        raise Unavailable(
            f"the scorers cannot load the model ({error}); what they said stands above"
        ) from error
    except (EOFError, ConnectionError) as error:
        raise Unavailable(f"a process of the server is gone: {error}; start it again") from error


def _built(serving: Serving, current: Path) -> Any:
    """Return the server with everything that we add to it."""
    import litserve
    from fastapi import Request, Response
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    from ad_workers.serving import metrics
    from ad_workers.serving.guard import Guard, body_of
    from ad_workers.serving.intake import Intake
    from ad_workers.serving.scorer import Scorer

    server = litserve.LitServer(
        Scorer(current, serving.device, serving.max_batch, serving.max_wait),
        accelerator="cpu",  # a scorer chooses its device itself
        workers_per_device=serving.workers,
        timeout=PATIENCE,
        healthcheck_path="/ready",
        restart_workers=True,
    )
    app = server.app
    app.state.intake = Intake(Current(current), serving.most)
    app.add_middleware(Guard, patience=2 * PATIENCE)

    async def alive() -> Response:
        return Response("ok")

    async def measured() -> Response:
        return Response(metrics.text(), media_type=metrics.CONTENT_TYPE)

    async def model() -> JSONResponse:
        shown = app.state.intake.current().to_json()
        return JSONResponse({name: value for name, value in shown.items() if name != "folder"})

    async def refused(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, HTTPException)
        # Not by JSONResponse: what was sent, and is shown, may hold halves of characters.
        text = json.dumps(body_of(error.status_code, str(error.detail)))
        return Response(text, error.status_code, error.headers, "application/json")

    for path, answer in {"/health": alive, "/ping": alive, "/metrics": measured, "/model": model}.items():
        app.add_api_route(path, answer, methods=["GET"])
    app.add_exception_handler(HTTPException, refused)
    return server
