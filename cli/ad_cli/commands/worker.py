"""`adctl worker`: start one here, list them, tell one to leave."""

import gc
import re
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import interrupts, out, session, shapes
from ad_cli.commands import options
from ad_platform.errors import InvalidRequest, MissingExtra, Unavailable, UnknownName

if TYPE_CHECKING:
    from ad_platform.records import WorkerRecord

USUAL = (700, 10, 10)  # how often Python looks for garbage by itself

app = typer.Typer(no_args_is_help=True, help="The processes that compute.")


def _plain(name: str) -> str:
    """Refuse a name that could be no file's: its lock has it."""
    if name and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        raise typer.BadParameter(f"it may have letters, digits and . _ - alone, not '{name}'")
    return name


@app.command()
def start(
    slots: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 256),
            help="Jobs at a time; default: one per GPU, else one.",
            show_default=False,
        ),
    ] = None,
    queues: Annotated[str, typer.Option(metavar="A,B", help="The queue labels it serves.")] = "default",
    name: Annotated[
        str, typer.Option(callback=_plain, help="Default: made from the node.", show_default=False)
    ] = "",
    drained_code: Annotated[
        int,
        typer.Option(
            callback=options.within(0, 255), metavar="N", help="Its exit code after: adctl worker drain."
        ),
    ] = 0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 65535),
            metavar="N",
            help="Answer Prometheus there: its slots and GPUs.",
            show_default=False,
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens for that.")
    ] = "127.0.0.1",
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Run a worker here, until it is told to leave.

    SIGTERM or Ctrl-C: it checkpoints, gives back its jobs and leaves. A second one: at once.
    """
    if sys.platform == "win32":
        raise Unavailable("workers do not run on Windows itself; use WSL, or a worker on another machine")
    if find_spec("torch") is None:
        raise MissingExtra("a worker", "worker")
    labels = tuple(label.strip() for label in queues.split(",") if label.strip())
    if not labels:
        raise InvalidRequest("--queues needs at least one label, such as: --queues default")
    interrupts.exit_at_once_on(signal.SIGTERM, signal.SIGINT)  # what follows takes seconds
    from ad_workers.main import start as run_worker

    gc.set_threshold(*USUAL)  # `main` sets it for calls that end soon
    raise typer.Exit(
        run_worker(
            session.settings(),
            slots=slots,
            queues=labels,
            name=name,
            drained=drained_code,
            metrics=None if metrics_port is None else (metrics_host, metrics_port),
            registered=_told,
        )
    )


def _told(worker: "WorkerRecord") -> None:
    if out.as_json():
        out.line(shapes.record_json(worker))
    elif out.quiet():
        out.text(worker.id)
    else:
        names = worker.facts.get("devices")
        slots = ", ".join(str(name) for name in names) if isinstance(names, list) else worker.slots
        out.note(f"{worker.id} is online on {slots}; Ctrl-C gives back what it runs and ends it")


@app.command("list")
def list_workers(
    everyone: Annotated[
        bool, typer.Option("--all", "-a", help="Those that are gone too.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """List workers, newest first."""
    with session.client() as client:
        workers = [worker for worker in client.workers() if everyone or worker.state != "gone"]
    if out.as_json():
        out.data([shapes.record_json(worker) for worker in workers])
    elif out.quiet():
        for worker in workers:
            out.text(worker.id)
    else:
        rows = [shapes.worker_cells(worker) for worker in workers]
        out.table(
            shapes.WORKER_COLUMNS, rows, empty="no worker is online; start one with: adctl worker start"
        )
        for line in shapes.held_lines(workers):
            out.note(line)


@app.command()
def drain(
    worker: Annotated[
        str,
        typer.Argument(
            metavar="WORKER|HOST", help="Its id, the first characters, or a node: all of its workers."
        ),
    ],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Tell a worker, or all of a node, to give back their jobs and leave."""
    with session.client() as client:
        found = _find(worker, [one for one in client.workers() if one.state != "gone"])
        for one in found:
            client.drain(one.id)
        here = client.settings.node if client.settings.embedded else None
    if out.as_json():
        whole_node = found[0].id != worker and found[0].node == worker
        out.data([*map(shapes.record_json, found)] if whole_node else shapes.record_json(found[0]))
        return
    for one in found:
        again = "; adctl up starts it again" if one.node == here else ""
        out.note(f"{one.id} on {one.node} gives back what it runs and leaves{again}")


def _find(text: str, workers: "list[WorkerRecord]") -> "list[WorkerRecord]":
    """Return the worker of an id, all of a node, or the one whose id begins so."""
    fitting = [worker for worker in workers if worker.id == text] or [
        worker for worker in workers if worker.node == text
    ]
    if fitting:
        return fitting
    fitting = [worker for worker in workers if worker.id.startswith(text)]
    if not fitting:
        names = dict.fromkeys(name for worker in workers for name in (worker.id, worker.node))
        raise UnknownName("worker or node", text, list(names))
    if len(fitting) > 1:
        ids = ", ".join(worker.id for worker in fitting)
        raise InvalidRequest(f"'{text}' fits several workers: {ids}; give more characters")
    return fitting
