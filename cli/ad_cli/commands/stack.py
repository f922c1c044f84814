"""`adctl up`, `down` and `status`: the services of this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, standing
from ad_cli.commands import options
from ad_platform.errors import StoreDown, StoreMismatch
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.settings import Settings
    from ad_platform.stack.lifecycle import Running


MOST = 1000  # running jobs that are shown


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    slots: Annotated[
        int | None,
        typer.Option(
            callback=options.within(1, 256), help="Jobs at a time; default: one per GPU.", show_default=False
        ),
    ] = None,
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="Without MLflow's user interface.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Start broker, worker and MLflow's pages on this machine.

    Safe to repeat: what runs is left alone, what has fallen is started again.
    """
    settings = session.settings()
    running = start(settings, slots=slots, ui=not no_ui)
    if out.as_json():
        out.data(
            {
                "home": str(settings.home),
                "ui": running.ui,
                "services": [standing.service_json(one) for one in running.services],
            }
        )
        return
    standing.show_services(running.services)
    if running.already:
        out.note("the services ran already; change --slots or --no-ui with: adctl down, then adctl up")
    out.note(f"everything lies in {settings.home}; logs in {settings.home / 'logs'}")
    if running.ui:
        out.note(f"MLflow: {running.ui} (its first page may take half a minute)")
    out.note("next: adctl submit train --model ddad --preset tiny --data DIR")


def start(settings: "Settings", *, slots: int | None = None, ui: bool = True) -> "Running":
    """Start what does not run yet, telling the person what takes time, and return what runs."""
    from ad_cli.commands.db import migrate
    from ad_platform.client import Client
    from ad_platform.stack import lifecycle

    for words in _elsewhere(settings):
        out.note(words)
    with Client(settings) as client:

        def registered(pid: int) -> bool:
            here = [worker for worker in client.workers() if worker.node == settings.node]
            return any(worker.pid == pid and worker.state == "online" for worker in here)

        return lifecycle.up(
            settings,
            slots=slots,
            ui=ui,
            migrate=lambda: migrate(settings),
            registered=registered,
            tell=out.note,
        )


def down(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Stop the services of this machine.

    Running jobs checkpoint first, and go on with the next worker.
    """
    from ad_platform.stack import lifecycle

    stopped = lifecycle.down(session.settings(), tell=out.note)
    if out.as_json():
        out.data({"services": list(stopped.services), "killed": stopped.killed})
    elif not stopped.services and not stopped.killed:
        out.note("nothing was running")
    else:
        for name in stopped.services:
            out.text(name if out.quiet() else f"{name}  stopped")
        if stopped.killed:
            out.note(f"ended what was left behind: {_counted(stopped.killed)}")


def status(
    slots: Annotated[
        bool,
        typer.Option("--slots", help="Each slot by itself, however many there are.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Show services, slots, jobs, queues and free disk space.

    Of more than 16 slots by node, with what runs there; then what is amiss.
    """
    from ad_platform.stack import lifecycle

    settings = session.settings()
    services = lifecycle.states(settings)
    if not out.as_json():
        standing.show_services(services)
    try:
        with session.client() as client:
            overview = client.overview()
            running = client.jobs(states=(JobState.RUNNING,), limit=MOST)
    except (StoreDown, StoreMismatch) as error:
        if out.as_json():
            out.data(standing.as_json(settings, services, None, str(error)))
        raise
    if out.as_json():
        out.data(standing.as_json(settings, services, overview, "", running))
    else:
        standing.show(settings, overview, running, every_slot=slots)


def _elsewhere(settings: "Settings") -> list[str]:
    from ad_platform.stack.services import embeds_broker, embeds_tracking

    words = []
    if not settings.embedded:
        words.append("the store is elsewhere (ADCTL_DATABASE_URL), so it is not migrated: adctl db upgrade")
    if not embeds_broker(settings):
        words.append("the broker is elsewhere (ADCTL_BROKER_URL), so none is started")
    if not embeds_tracking(settings):
        words.append("MLflow is elsewhere (MLFLOW_TRACKING_URI), so no user interface is started")
    return words


def _counted(number: int) -> str:
    return f"{number} process{'' if number == 1 else 'es'}"
