"""Where a person finds more of a job: the folder of its files, the page of its MLflow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_platform.addresses import shown
from ad_platform.errors import Unavailable

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Job
    from ad_platform.settings import Settings


def stored(settings: Settings, path: str) -> str:
    """Return where something lies in the storage, without what only a program needs to reach it."""
    return f"{shown(settings.storage_url.partition('?')[0]).rstrip('/')}/{path}"


def run_address(client: Client, job: Job) -> str:
    """Return the page of a job's run; "" if it has none yet or nobody serves MLflow's pages."""
    run_id = client.store.shipments.run_of(job.id)
    pages = _pages(client.settings) if run_id else ""
    return f"{pages}/#/runs/{run_id}" if pages else ""


def _pages(settings: Settings) -> str:
    """Return the address of MLflow's pages, if they are up; a server elsewhere is taken to be."""
    from ad_platform.stack.services import embeds_tracking

    if not embeds_tracking(settings):
        return shown(settings.tracking_uri).rstrip("/") if settings.tracking_uri.startswith("http") else ""
    from ad_platform.stack import lifecycle, ports
    from ad_platform.stack.places import Places

    try:
        running = {one.name for one in lifecycle.states(settings) if one.pid}
    except Unavailable:
        return ""
    port = ports.kept(Places(settings))
    return f"http://127.0.0.1:{port}" if port and "mlflow" in running else ""
