"""The figures of the fleet as Prometheus reads them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ad_platform.errors import AdctlError
from ad_platform.fleet import Figures
from ad_platform.queues import USUAL, QueueLoad
from ad_platform.states import JobState

if TYPE_CHECKING:
    from prometheus_client import Metric

FRESH = 2.0  # seconds for which figures are good: several who ask at once cost the store one look
WORKER_STATES = ("online", "draining", "gone")


class FleetCollector:
    """Gives metrics to a registry of prometheus_client, from a fresh look at the store."""

    def __init__(
        self, look: Callable[[], Figures], lease: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`look` is asked for figures; `lease` is the length of a lease in seconds."""
        self._look, self._lease, self._clock = look, lease, clock
        self._lock = threading.Lock()
        self._figures: Figures | None = None
        self._until = float("-inf")

    def describe(self) -> list[Metric]:
        """Return nothing: what there is, a look at the store says."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; without a store the one that says so."""
        from prometheus_client.core import GaugeMetricFamily

        up = GaugeMetricFamily("adctl_store_up", "Whether the store answers.")
        seconds = GaugeMetricFamily("adctl_store_look_seconds", "How long the look at the store took.")
        began = self._clock()
        try:
            figures = self._fresh()
        except AdctlError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        seconds.add_metric([], self._clock() - began)
        yield up
        yield seconds
        yield from _of_jobs(figures)
        yield from _of_leases(figures, self._lease)
        yield from _of_workers(figures)

    def _fresh(self) -> Figures:
        with self._lock:
            if self._figures is None or self._clock() >= self._until:
                self._figures = self._look()
                self._until = self._clock() + FRESH
            return self._figures


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    jobs = GaugeMetricFamily("adctl_jobs", "Jobs by state.", labels=["state"])
    for state in JobState:
        jobs.add_metric([state.value], figures.jobs.get(state, 0))
    depth = GaugeMetricFamily(
        "adctl_queue_jobs", "Jobs of a queue label that have not ended, by state.", labels=["queue", "state"]
    )
    oldest = GaugeMetricFamily(
        "adctl_queue_oldest_seconds",
        "Age of the oldest job of a queue label that is queued.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily("adctl_queue_paused", "1 for a queue label that is paused.", labels=["queue"])
    served = {name for worker in figures.roster if worker.state == "online" for name in worker.queues}
    loads = {load.name: load for load in figures.queues}
    for name in sorted({USUAL, *loads, *served, *figures.paused}):
        load = loads.get(name, QueueLoad(name=name))
        for kind in ("waiting", "queued", "running"):
            depth.add_metric([name, kind], getattr(load, kind))
        since = figures.waiting_since.get(name)
        oldest.add_metric([name], 0.0 if since is None else max(0.0, figures.now - since))
        paused.add_metric([name], int(name in figures.paused))
    tried = CounterMetricFamily(
        "adctl_attempts",
        "Attempts that ended, by outcome and class of failure.",
        labels=["outcome", "failure"],
    )
    for each in figures.attempts:
        if each.outcome != "running":
            tried.add_metric([each.outcome.value, each.failure.value if each.failure else ""], each.number)
    yield from (jobs, depth, oldest, paused, tried)


def _of_leases(figures: Figures, lease: float) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    age = GaugeMetricFamily(
        "adctl_lease_age_seconds", "Time since the lease that was renewed longest ago was renewed."
    )
    left = lease if figures.lease_until is None else figures.lease_until - figures.now
    age.add_metric([], max(0.0, lease - left))
    overdue = GaugeMetricFamily("adctl_leases_overdue", "Running jobs whose lease has ended.")
    overdue.add_metric([], figures.overdue)
    untold = GaugeMetricFamily(
        "adctl_shipper_jobs", "Jobs of which MLflow has not been told everything, running ones too."
    )
    untold.add_metric([], figures.untold)
    lag = GaugeMetricFamily(
        "adctl_shipper_lag_seconds", "Time since the end of the earliest job that MLflow does not know whole."
    )
    since = figures.untold_since
    lag.add_metric([], 0.0 if since is None else max(0.0, figures.now - since))
    yield from (age, overdue, untold, lag)


def _of_workers(figures: Figures) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    states = GaugeMetricFamily("adctl_workers", "Workers by state.", labels=["state"])
    for state in WORKER_STATES:
        states.add_metric([state], sum(worker.state == state for worker in figures.roster))
    who = ["worker", "node"]
    slots = GaugeMetricFamily("adctl_worker_slots", "Slots of a worker.", labels=who)
    busy = GaugeMetricFamily("adctl_worker_slots_busy", "Slots of a worker that hold a job.", labels=who)
    seen = GaugeMetricFamily("adctl_worker_seen_seconds", "Time since a worker was heard of.", labels=who)
    cards = GaugeMetricFamily("adctl_worker_gpus", "Graphics cards among a worker's slots.", labels=who)
    for worker in figures.roster:
        if worker.state == "gone":  # or whoever ever was there would be told for ever
            continue
        labels = [worker.id, worker.node]
        slots.add_metric(labels, worker.slots)
        busy.add_metric(labels, worker.busy)
        seen.add_metric(labels, max(0.0, figures.now - worker.seen_at))
        devices = worker.facts.get("devices")
        cards.add_metric(labels, sum(each != "cpu" for each in devices) if isinstance(devices, list) else 0)
    yield from (states, slots, busy, seen, cards)
