"""The fleet at a glance: workers by node with what runs there, queues with who serves them, what is amiss."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ad_cli.tables import Column

if TYPE_CHECKING:
    from ad_platform.queues import QueueState
    from ad_platform.records import Job, WorkerRecord
    from ad_platform.requests import Overview
    from ad_platform.specs import Json

NODE_COLUMNS = ("NODE", "WORKERS", "BUSY", "ON", Column(name="RUNS", takes_rest=True))
QUEUE_COLUMNS = ("QUEUE", "WAITING", "QUEUED", "RUNNING", "WORKERS", "SLOTS", "STATE")
MOST = 3  # names in a warning


def nodes(online: Sequence[WorkerRecord], running: Sequence[Job]) -> list[tuple[str, ...]]:
    """Return the cells of each node below NODE_COLUMNS, by name."""
    work = _work(running)
    rows: list[tuple[str, ...]] = []
    for node, workers in _by_node(online).items():
        leaving = sum(worker.state == "draining" for worker in workers)
        runs = _counted(sum((work.get(worker.id, Counter()) for worker in workers), Counter()))
        rows.append(
            (
                node,
                f"{len(workers)}" + (f", {leaving} draining" if leaving else ""),
                f"{sum(worker.busy for worker in workers)} of {sum(worker.slots for worker in workers)}",
                _counted(Counter(name for worker in workers for name in _devices(worker))),
                runs or "-",
            )
        )
    return rows


def nodes_json(online: Sequence[WorkerRecord], running: Sequence[Job]) -> Json:
    """Return the nodes as JSON."""
    work = _work(running)
    return [
        {
            "node": node,
            "workers": [worker.id for worker in workers],
            "slots": sum(worker.slots for worker in workers),
            "busy": sum(worker.busy for worker in workers),
            "draining": [worker.id for worker in workers if worker.state == "draining"],
            "runs": dict(sum((work.get(worker.id, Counter()) for worker in workers), Counter())),
        }
        for node, workers in _by_node(online).items()
    ]


def is_worth_a_table(overview: Overview) -> bool:
    """Say whether there is more to say of queues than that the usual one is there."""
    return len(overview.queues) > 1 or any(queue.load.queued or queue.paused for queue in overview.queues)


def queues(overview: Overview) -> list[tuple[str, ...]]:
    """Return the cells of each queue below QUEUE_COLUMNS."""
    return [
        (
            queue.name,
            str(queue.load.waiting),
            str(queue.load.queued),
            str(queue.load.running),
            str(queue.workers),
            str(queue.slots),
            _state(queue),
        )
        for queue in overview.queues
    ]


def queues_json(overview: Overview) -> Json:
    """Return the queues as JSON."""
    return [
        {
            "queue": queue.name,
            "waiting": queue.load.waiting,
            "queued": queue.load.queued,
            "running": queue.load.running,
            "workers": queue.workers,
            "slots": queue.slots,
            "paused": queue.paused is not None,
        }
        for queue in overview.queues
    ]


def warnings(overview: Overview) -> list[str]:
    """Return what somebody should know, each in a line."""
    found = [overview.trouble] if overview.trouble else []
    for queue in overview.queues:
        if queue.load.queued and not queue.workers:
            found.append(
                f"{_jobs(queue.load.queued)} in the queue '{queue.name}', which no worker serves; start "
                f"one with: adctl worker start --queues {queue.name}"
            )
        if queue.paused and queue.load.queued:
            found.append(f"the queue '{queue.name}' is paused: adctl queue resume {queue.name}")
    lost = [worker.id for worker in overview.workers if worker.state == "gone" and worker.busy]
    if lost:
        found.append(f"{_such_as(lost)} held jobs and {_is(lost)} not heard of; they are taken back soon")
    bad = [worker.id for worker in overview.workers if worker.state != "gone" and _broken_cards(worker)]
    if bad:
        found.append(f"{_such_as(bad)} {_has(bad)} cards that cannot be used: adctl doctor says why, there")
    versions = {str(worker.facts.get("adctl")) for worker in overview.workers if worker.state == "online"}
    if len(versions) > 1:
        found.append(f"workers run several versions of adctl: {', '.join(sorted(versions))}")
    return found


def _by_node(online: Sequence[WorkerRecord]) -> dict[str, list[WorkerRecord]]:
    found: dict[str, list[WorkerRecord]] = defaultdict(list)
    for worker in online:
        found[worker.node].append(worker)
    return dict(sorted(found.items()))


def _work(running: Sequence[Job]) -> Mapping[str, Counter[str]]:
    """Return what each worker runs, counted by kind and detector."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for job in running:
        found[job.worker or ""][f"{job.kind.value} {job.spec.detector}"] += 1
    return found


def _devices(worker: WorkerRecord) -> list[str]:
    names = worker.facts.get("devices")
    return [str(name) for name in names] if isinstance(names, list) else []


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())


def _broken_cards(worker: WorkerRecord) -> bool:
    cards = worker.facts.get("cards")
    return isinstance(cards, list) and any(isinstance(card, dict) and card.get("problem") for card in cards)


def _state(queue: QueueState) -> str:
    if queue.paused:
        return "paused"
    return "unserved" if queue.load.queued and not queue.workers else "-"


def _jobs(number: int) -> str:
    return "1 job lies" if number == 1 else f"{number} jobs lie"


def _such_as(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
