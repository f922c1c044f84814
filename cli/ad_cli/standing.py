"""How the platform stands: services, slots, queues and disks, as text and as JSON."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ad_cli import fleet, out, shapes
from ad_platform.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from ad_platform.records import Job, WorkerRecord
    from ad_platform.requests import Overview
    from ad_platform.settings import Settings
    from ad_platform.specs import Json
    from ad_platform.stack.control import ServiceState

FEW = 16  # slots that are shown one by one
SLOT_COLUMNS = ("SLOT", "NODE", "STATE", "ON", "JOB", "WHAT", "PROGRESS")


def show_services(services: Sequence[ServiceState]) -> None:
    """Print one line per service of this machine."""
    if out.quiet():
        for one in services:
            out.text(f"{one.name} {one.state}")
        return
    rows = [(one.name, one.state, str(one.pid or "-"), _since(one)) for one in services]
    out.table(("SERVICE", "STATE", "PID", "SINCE"), rows, empty="no services run here; start them: adctl up")


def _since(one: ServiceState) -> str:
    """Return since when a service runs, or why it does not."""
    from ad_platform.stack.services import DASHBOARD

    if one.pid:
        return shapes.ago(one.since)
    asked = "starts with: adctl ui --sweeps" if one.name == DASHBOARD and one.state == "stopped" else "-"
    return one.detail or asked


def show(settings: Settings, overview: Overview, running: Sequence[Job], *, every_slot: bool = False) -> None:
    """Print slots with what runs in them, by node where they are many, then queues, jobs, disks, warnings."""
    if out.quiet():
        return
    out.text("")
    online = [worker for worker in overview.workers if worker.state != "gone"]
    if every_slot or sum(worker.slots for worker in online) <= FEW:
        rows = [row for worker in online for row in slots(worker, running)]
        out.table(SLOT_COLUMNS, rows, empty="no worker is online; start one with: adctl up")
    else:
        out.table(fleet.NODE_COLUMNS, fleet.nodes(online, running))
    out.text("")
    if fleet.is_worth_a_table(overview):
        out.table(fleet.QUEUE_COLUMNS, fleet.queues(overview))
        out.text("")
    jobs = "  ".join(f"{state} {count}" for state, count in overview.jobs.items() if count)
    out.pairs(
        {
            "slots": f"{sum(one.busy for one in online)} of {sum(one.slots for one in online)} busy",
            "jobs": jobs or "none",
            "wake-ups": _queue_words(overview),
            "mlflow": pages_of(settings) or "its pages do not run; start them: adctl up",
            **({"sweeps": sweeps} if (sweeps := sweep_pages_of(settings)) else {}),
            "disk": "; ".join(_rooms(settings)),
        }
    )
    for line in shapes.held_lines(online):
        out.warn(line)
    for words in fleet.warnings(overview):
        out.warn(words)


def slots(worker: WorkerRecord, running: Sequence[Job]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each slot of a worker below SLOT_COLUMNS; which job is in which is not known."""
    from ad_platform.offers import held_cards

    devices = worker.facts.get("devices")
    names = [str(name) for name in devices] if isinstance(devices, list) else []
    held = [job for job in running if job.worker == worker.id for _ in range(job.slots)]
    total = max(worker.slots, len(held))
    # Of the free ones, those whose card has no room for just any job come last.
    strangers = sum(not card.room.roomy for card in held_cards(worker))
    for number in range(total):
        job = held[number] if number < len(held) else None
        free = "free" if number < total - strangers else "held"
        yield (
            f"{worker.id}/{number + 1}",
            worker.node,
            worker.state if worker.state != "online" else "busy" if job else free,
            names[number] if number < len(names) else "-",
            job.id[: shapes.SHORT] if job else "-",
            shapes.title(job) if job else "-",
            shapes.progress_words(job) if job else "-",
        )


def as_json(
    settings: Settings,
    services: Sequence[ServiceState],
    overview: Overview | None,
    trouble: str,
    running: Sequence[Job] = (),
) -> dict[str, Json]:
    """Return all of it; without a store there are no workers, jobs and queues."""
    value: dict[str, Json] = {
        "home": str(settings.home),
        "services": [service_json(one) for one in services],
        "ui": pages_of(settings),
        "sweeps_ui": sweep_pages_of(settings),
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
            "nodes": fleet.nodes_json(online, running),
            "loads": fleet.queues_json(overview),
            "warnings": [*fleet.warnings(overview)],
            "paused": [queue.name for queue in overview.queues if queue.paused],
        }
    return value


def service_json(one: ServiceState) -> Json:
    """Return a service as JSON."""
    return {"name": one.name, "state": one.state, "pid": one.pid, "since": one.since, "detail": one.detail}


def pages_of(settings: Settings) -> str | None:
    """Return the address of MLflow's pages, or None while they do not run."""
    from ad_platform.stack import pages

    try:
        return pages.address(settings)
    except (Unavailable, InvalidRequest):
        return None


def sweep_pages_of(settings: Settings) -> str | None:
    """Return the address of the pages of sweeps, or None while they do not run."""
    from ad_platform.stack import sweep_pages

    return sweep_pages.running(settings)


def _queue_words(overview: Overview) -> str:
    if overview.depths is None:
        return "unknown"
    paused = {queue.name for queue in overview.queues if queue.paused}
    return "  ".join(
        f"{name} {count}{' (paused)' if name in paused else ''}" for name, count in overview.depths.items()
    )


def _rooms(settings: Settings) -> list[str]:
    from ad_platform.doctor import places

    return [finding.words for finding in places.disks(settings)]


def _free(settings: Settings) -> int:
    from ad_platform.doctor import places

    return shutil.disk_usage(places.existing(settings.home)).free
