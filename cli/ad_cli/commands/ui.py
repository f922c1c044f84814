"""`adctl ui`: MLflow's pages, or those of sweeps, in a browser, or at least their address."""

import os
import socket
import sys
import webbrowser
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from ad_cli import out, session
from ad_platform.errors import Unavailable

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Benchmark, Job
    from ad_platform.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("ui")(ui)


def ui(
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB",
            help="Show the page of this job's or benchmark's run, or of this sweep.",
            show_default=False,
        ),
    ] = "",
    sweeps: Annotated[
        bool,
        typer.Option("--sweeps", help="The pages of sweeps: Optuna's dashboard.", show_default=False),
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Open MLflow's pages, or those of sweeps, in a browser.

    Those of sweeps are started when they are asked for. The address is printed; where there is no screen,
    with -q and with --json nothing else is done.
    """
    settings = session.settings()
    page = _page(settings, job, sweeps)
    if out.as_json():
        out.data({"url": page})
        return
    out.text(page)
    if not _answers(page):
        out.note(_silence(settings))
    if not (no_browser or out.quiet()) and out.lively() and has_screen(os.environ) and webbrowser.open(page):
        return
    if "SSH_CONNECTION" in os.environ and "127.0.0.1" in page:
        port = urlsplit(page).port
        out.note(f"from your own machine: ssh -L {port}:127.0.0.1:{port} {settings.node}, then open it there")


def has_screen(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Say whether a browser would have a window; without, Python would start one inside the terminal."""
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environ
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _page(settings: "Settings", text: str, sweeps: bool) -> str:
    """Return the address of what was asked for, starting the pages of sweeps if need be."""
    from ad_cli import targets
    from ad_platform.records import Study
    from ad_platform.stack import pages, sweep_pages

    if not text:
        return f"{sweep_pages.address(settings, out.note)}/dashboard" if sweeps else pages.address(settings)
    with session.client() as client:
        known = session.sweeps(client)
        found = known.find(text) if sweeps else targets.find(client, known, text)
        run = None if isinstance(found, Study) else _run_of(client, found)
    if not isinstance(found, Study):
        return pages.address(settings, run)
    base = sweep_pages.address(settings, out.note)
    page = sweep_pages.study_address(base, found.name)
    if page is None:
        out.note(
            f"Optuna knows nothing of {found.name} yet: it is told once a worker takes the sweep further"
        )
    return page or f"{base}/dashboard"


def _run_of(client: "Client", job: "Job | Benchmark") -> str:
    from ad_platform.records import Benchmark

    if isinstance(job, Benchmark):
        if job.run_id is None:
            raise Unavailable(f"MLflow has no page of benchmark {job.name} yet: a worker tells it, adctl up")
        return job.run_id
    run = client.run_of(job)
    if run is None:
        when = "once the job has begun" if job.attempt == 0 else "by any worker, within a minute: adctl up"
        raise Unavailable(f"MLflow has no page of job {job.id} yet ({job.state}): it is told {when}")
    return run


def _silence(settings: "Settings") -> str:
    """Say what may be done about pages that do not answer."""
    from ad_platform.stack.services import embeds_tracking

    if embeds_tracking(settings):
        return "it does not answer yet: after adctl up its first page may take half a minute"
    return "it does not answer from here; is the server up, and MLFLOW_TRACKING_URI right? adctl doctor looks"


def _answers(page: str) -> bool:
    parts = urlsplit(page)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=1.0):
            return True
    except OSError:
        return False
