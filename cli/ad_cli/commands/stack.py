"""`adctl up`, `down` and `status`: the services of this machine."""

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_platform.errors import StoreDown

if TYPE_CHECKING:
    from ad_platform.requests import Overview
    from ad_platform.settings import Settings
    from ad_platform.specs import Json
    from ad_platform.stack.control import ServiceState
    from ad_platform.stack.lifecycle import Running


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
                "services": [_service(one) for one in running.services],
            }
        )
        return
    _print_services(running.services)
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
            here = [worker for worker in client.store.workers.roster() if worker.node == settings.node]
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
            out.text(f"{name}  stopped")
        if stopped.killed:
            out.note(f"{stopped.killed} processes had been left behind; they were ended")


def status(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Show services, workers, jobs, queues and free disk space."""
    from ad_platform.stack import lifecycle

    settings = session.settings()
    services = lifecycle.states(settings)
    overview, trouble = None, ""
    try:
        with session.client() as client:
            overview = client.overview()
    except StoreDown as error:
        trouble = str(error)
    if out.as_json():
        out.data(_status_json(settings, services, overview, trouble))
    else:
        _print_services(services)
        if overview is not None:
            _print_overview(settings, overview)
    if overview is None:
        raise StoreDown(trouble)


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


def _print_services(services: "tuple[ServiceState, ...] | list[ServiceState]") -> None:
    rows = [
        (one.name, one.state, str(one.pid or "-"), shapes.ago(one.since) if one.pid else one.detail or "-")
        for one in services
    ]
    out.table(("SERVICE", "STATE", "PID", "SINCE"), rows, empty="no services run here; start them: adctl up")


def _print_overview(settings: "Settings", overview: "Overview") -> None:
    online = [worker for worker in overview.workers if worker.state != "gone"]
    out.text("")
    rows = [shapes.worker_cells(worker) for worker in online]
    out.table(shapes.WORKER_COLUMNS, rows, empty="no worker is online; start one with: adctl worker start")
    out.text("")
    jobs = "  ".join(f"{state} {count}" for state, count in overview.jobs.items() if count)
    depths = overview.depths
    wakeups = "unknown" if depths is None else "  ".join(f"{name} {count}" for name, count in depths.items())
    out.pairs(
        {
            "slots": f"{sum(one.busy for one in online)} of {sum(one.slots for one in online)} busy",
            "jobs": jobs or "none",
            "wake-ups": wakeups,
            "disk": f"{_free(settings) / 1e9:.1f} GB free below {settings.home}",
        }
    )
    if overview.trouble:
        out.warn(overview.trouble)


def _status_json(
    settings: "Settings", services: "list[ServiceState]", overview: "Overview | None", trouble: str
) -> "Json":
    value: dict[str, Json] = {
        "home": str(settings.home),
        "services": [_service(one) for one in services],
        "disk_free": _free(settings),
        "trouble": trouble or (overview.trouble if overview else ""),
    }
    if overview is not None:
        online = [worker for worker in overview.workers if worker.state != "gone"]
        value |= {
            "workers": [shapes.record_json(worker) for worker in online],
            "slots": sum(worker.slots for worker in online),
            "busy": sum(worker.busy for worker in online),
            "jobs": {state.value: count for state, count in overview.jobs.items()},
            "queues": None if overview.depths is None else dict(overview.depths),
        }
    return value


def _service(one: "ServiceState") -> "Json":
    return {"name": one.name, "state": one.state, "pid": one.pid, "since": one.since, "detail": one.detail}


def _free(settings: "Settings") -> int:
    home = settings.home
    while not home.exists():
        home = home.parent
    return shutil.disk_usage(home).free
