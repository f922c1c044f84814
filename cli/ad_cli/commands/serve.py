"""`adctl serve`: a fitted model behind HTTP."""

import signal
from importlib.util import find_spec
from typing import Annotated

import typer

from ad_cli import interrupts, out, session
from ad_cli.commands import options
from ad_platform.errors import MissingExtra


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(serve)


def serve(
    model: options.FittedModel,
    host: Annotated[
        str, typer.Option(help="127.0.0.1: this machine; 0.0.0.0 or ::: everybody.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(callback=options.within(1024, 65535), help="Where to listen.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            callback=options.within(1, 64), metavar="N", help="Processes that hold the model and score."
        ),
    ] = 1,
    max_batch: Annotated[
        int,
        typer.Option(callback=options.within(1, 256), metavar="N", help="Requests that are scored together."),
    ] = 8,
    max_wait: Annotated[
        float,
        typer.Option(
            callback=options.within(0.0, 1000.0), metavar="MS", help="How long one waits for others."
        ),
    ] = 5.0,
    max_request: Annotated[
        int, typer.Option(callback=options.within(1, 1024), metavar="MB", help="The size of a request.")
    ] = 32,
    follow: Annotated[
        float,
        typer.Option(
            callback=options.within(0.0, 86400.0),
            metavar="SECONDS",
            help="Look so often whether the alias has moved, and serve the new model then; 0: never.",
        ),
    ] = 10.0,
    device: options.ScoreOn = "auto",
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Score images that are sent by HTTP.

    POST /invocations takes what `mlflow models serve` takes: {"inputs": [base64, ...], "params": {"maps":
    "png"}}. GET /health says that it runs, /ready that it can score, /metrics counts for Prometheus, /model
    says which model. Requests at the same time are scored together; each gets the scores that it would get
    alone. Ctrl-C or SIGTERM end it, once what it has begun is answered.
    """
    for module in ("litserve", "prometheus_client", "torch"):
        if find_spec(module) is None:
            raise MissingExtra("serving a model", "worker,serve")
    interrupts.exit_at_once_on(signal.SIGTERM)
    from ad_workers.serving import offered, server

    with session.client() as client:
        known = offered.identity(client, model)
        found = offered.find(client, model)
    serving = server.Serving(
        text=model,
        host=host,
        port=port,
        workers=workers,
        max_batch=max_batch,
        max_wait=max_wait / 1000,
        most=max_request << 20,
        device=device,
        every=follow if found.revision or found.job else 0.0,
    )
    if out.as_json():
        out.data({"url": serving.url, **found.to_json()})
    elif out.quiet():
        out.text(serving.url)
    else:
        out.text(f"{serving.url}/invocations")
        out.note(f"{found.name}: {found.words}")
        out.note("loading; /ready answers when it can score; Ctrl-C ends it")
        if serving.url.rpartition(":")[0] != f"http://{host}" and host != "localhost":
            out.warn(f"everybody who reaches port {port} of this machine can ask; put a proxy before it")
    server.run(serving, found, known)
