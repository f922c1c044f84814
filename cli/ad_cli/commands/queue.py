"""`adctl queue`: what lies in each queue; hold one back and let it go on."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from ad_cli import out, session, shapes

if TYPE_CHECKING:
    from ad_platform.queues import PausedQueue, QueueState
    from ad_platform.specs import Json

COLUMNS = ("QUEUE", "WAITING", "QUEUED", "RUNNING", "WORKERS", "SLOTS", "PAUSED")

app = typer.Typer(no_args_is_help=True, help="What lies in each queue; hold one back.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A queue's name.", show_default=False)]


@app.command("list")
def list_queues(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List queues, with the jobs in each and the workers that serve it."""
    with session.client() as client:
        queues = client.queues()
    if out.as_json():
        out.data([queue_json(queue) for queue in queues])
    elif out.quiet():
        for queue in queues:
            out.text(queue.name)
    else:
        out.table(COLUMNS, [queue_cells(queue) for queue in queues])


@app.command()
def pause(
    name: Name,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; others will read it.", show_default=False)
    ] = "",
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Let a queue give out no job until it is resumed.

    What runs goes on, and jobs may still be submitted to it.
    """
    with session.client() as client:
        change = client.pause_queue(name, reason)
    queue = change.queue
    if not change.changed and queue.paused is not None:
        out.note(f"it was paused already, {paused_words(queue.paused)}; that stands")
    elif queue.load.running:
        out.note(f"{queue.load.running} running go on; {queue.load.queued} queued wait")
    _print(queue)
    out.note(f"let it go on with: adctl queue resume {queue.name}")


@app.command()
def resume(name: Name, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Let a paused queue give out jobs again."""
    with session.client() as client:
        change = client.resume_queue(name)
    if not change.changed:
        out.note("it was not paused")
    if change.trouble:
        out.warn(f"{change.trouble}; its workers will be woken later")
    _print(change.queue)


def _print(queue: "QueueState") -> None:
    if out.as_json():
        out.data(queue_json(queue))
    else:
        how = "paused" if queue.paused else f"goes on, {queue.load.queued} queued"
        out.text(queue.name if out.quiet() else f"{queue.name}  {how}")


def queue_json(queue: "QueueState") -> "Json":
    """Return a queue as JSON."""
    from dataclasses import asdict

    paused = None if queue.paused is None else asdict(queue.paused)
    return cast(
        "Json", {**asdict(queue.load), "workers": queue.workers, "slots": queue.slots, "paused": paused}
    )


def queue_cells(queue: "QueueState") -> tuple[str, ...]:
    """Return the cells of a queue's row below COLUMNS."""
    load = queue.load
    counts = (load.waiting, load.queued, load.running, queue.workers, queue.slots)
    return (queue.name, *map(str, counts), paused_words(queue.paused) if queue.paused else "-")


def paused_words(paused: "PausedQueue") -> str:
    """Say who paused a queue, when and why."""
    why = f": {paused.reason}" if paused.reason else ""
    return f"by {paused.user} {shapes.ago(paused.at)} ago{why}"
