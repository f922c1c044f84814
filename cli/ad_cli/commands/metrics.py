"""`adctl metrics`: the figures of the fleet for Prometheus."""

import signal
import threading
from importlib.util import find_spec
from typing import Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.errors import MissingExtra, Unavailable

EVERYBODY = ("0.0.0.0", "::", "")  # noqa: S104 - which addresses those are


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(metrics)


def metrics(
    port: Annotated[int, typer.Option(callback=options.within(0, 65535), help="0 takes a free one.")] = 9464,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens; 0.0.0.0: everywhere.")
    ] = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Print them, and end.", show_default=False)] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Serve figures of the fleet for Prometheus.

    Queues, leases, slots, attempts, the shipper's lag and workers, from the store: one server is enough for
    all. GET /metrics; Ctrl-C or SIGTERM end it.
    """
    if find_spec("prometheus_client") is None:
        raise MissingExtra("metrics for Prometheus", "metrics")
    from prometheus_client import CollectorRegistry, generate_latest, start_http_server

    from ad_platform.metrics import FleetCollector

    with session.client() as client:
        registry = CollectorRegistry()
        registry.register(FleetCollector(lambda: client.store.telemetry.figures(), client.settings.lease))
        if once:
            out.text(generate_latest(registry).decode().rstrip("\n"))
            return
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise Unavailable(f"cannot listen at {host}:{port}: {why}; choose another --port") from error
        _tell(host, server.server_port)
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
        server.shutdown()
        thread.join(5)


def _tell(host: str, port: int) -> None:
    url = f"http://{'127.0.0.1' if host in EVERYBODY else host}:{port}/metrics"
    if out.as_json():
        out.data({"url": url})
        return
    out.text(url)
    if host in EVERYBODY:
        out.warn(f"everybody who reaches port {port} of this machine can read them: no password is asked for")
