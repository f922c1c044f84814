"""A worker's own metrics: its slots, and its cards as NVML sees them."""

import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ad_platform.errors import Unavailable
from ad_workers.metrics import Use, WorkerCollector, serve, uses


class NVMLError(Exception):
    """As NVML's own."""


def fake_nvml(lost: str = "", works: bool = True) -> SimpleNamespace:
    def start() -> None:
        if not works:
            raise NVMLError("no driver")

    def handle(uuid: str) -> str:
        if uuid == lost:
            raise NVMLError("fell off the bus")
        return uuid

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetName=lambda card: f"card {card}",
        nvmlDeviceGetMemoryInfo=lambda card: SimpleNamespace(used=3 << 30, total=80 << 30),
        nvmlDeviceGetUtilizationRates=lambda card: SimpleNamespace(gpu=75),
    )


def test_cards_are_told_by_uuid_and_a_lost_one_is_left_out() -> None:
    found = uses(["GPU-a", "GPU-b"], fake_nvml(lost="GPU-b"))  # type: ignore[arg-type]
    assert found == [Use("GPU-a", "card GPU-a", 0.75, 3 << 30, 80 << 30)]
    assert uses(["GPU-a"], fake_nvml(works=False)) == []  # type: ignore[arg-type]
    assert uses([]) == []


def test_they_are_served_to_prometheus() -> None:
    port = serve(WorkerCollector(2, lambda: 1, lambda: uses(["GPU-a"], fake_nvml())), 0)  # type: ignore[arg-type]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    seen = {
        sample.name: sample.value for each in text_string_to_metric_families(text) for sample in each.samples
    }
    assert seen == {
        "adctl_slots": 2,
        "adctl_slots_busy": 1,
        "adctl_gpu_busy_ratio": 0.75,
        "adctl_gpu_memory_used_bytes": 3 << 30,
        "adctl_gpu_memory_bytes": 80 << 30,
    }
    with pytest.raises(Unavailable, match="choose another --metrics-port"):
        serve(WorkerCollector(1, lambda: 0, list), port)
