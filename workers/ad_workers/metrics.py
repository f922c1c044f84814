"""What one worker tells Prometheus of itself: its slots, and how its graphics cards are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from ad_platform.errors import MissingExtra, Unavailable

if TYPE_CHECKING:
    from prometheus_client import Metric


@dataclass(frozen=True)
class Use:
    """How a graphics card is used now, by all processes."""

    uuid: str
    name: str
    busy: float  # 0 to 1: the part of the last moments in which it computed
    used: int  # bytes of its memory
    memory: int  # bytes it has


class WorkerCollector:
    """Gives a worker's metrics to a registry of prometheus_client."""

    def __init__(self, slots: int, busy: Callable[[], int], cards: Callable[[], Sequence[Use]]) -> None:
        self._slots, self._busy, self._cards = slots, busy, cards

    def describe(self) -> list[Metric]:
        """Return nothing: a look says what there is."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily("adctl_slots", "Slots of this worker.", value=self._slots)
        yield GaugeMetricFamily("adctl_slots_busy", "Slots that hold a job.", value=self._busy())
        labels = ["gpu", "name"]
        busy = GaugeMetricFamily("adctl_gpu_busy_ratio", "Part of the time a card computed.", labels=labels)
        used = GaugeMetricFamily("adctl_gpu_memory_used_bytes", "Memory in use on a card.", labels=labels)
        memory = GaugeMetricFamily("adctl_gpu_memory_bytes", "Memory of a card.", labels=labels)
        for card in self._cards():
            busy.add_metric([card.uuid, card.name], card.busy)
            used.add_metric([card.uuid, card.name], card.used)
            memory.add_metric([card.uuid, card.name], card.memory)
        yield from (busy, used, memory)


def uses(uuids: Sequence[str], nvml: ModuleType | None = None) -> list[Use]:
    """Return how these cards are used, as NVML says; one that does not answer is left out."""
    if not uuids:
        return []
    if nvml is None:
        try:
            import pynvml as nvml  # type: ignore[no-redef]
        except ImportError:
            return []
    assert nvml is not None
    found = []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        for uuid in uuids:
            try:
                found.append(_use(nvml, uuid))
            except nvml.NVMLError:  # it has fallen off the bus, or tells nobody
                continue
    finally:
        nvml.nvmlShutdown()
    return found


def _use(nvml: ModuleType, uuid: str) -> Use:
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Use(
        uuid=uuid,
        name=str(nvml.nvmlDeviceGetName(handle)),
        busy=float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100,
        used=int(memory.used),
        memory=int(memory.total),
    )


def serve(collector: WorkerCollector, port: int, host: str = "127.0.0.1") -> int:
    """Answer Prometheus in a thread of its own, and return the port; raises Unavailable, MissingExtra."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise MissingExtra("metrics for Prometheus", "metrics") from error
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unavailable(f"cannot listen at {host}:{port}: {why}; choose another --metrics-port") from error
    return int(server.server_port)
