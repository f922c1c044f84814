"""Slots are given out by UUID, in the order of CUDA_VISIBLE_DEVICES."""

from types import SimpleNamespace

import pytest

from ad_platform.errors import InvalidValue
from ad_workers.gpu import Gpu, assign, discover


class NVMLError(Exception):
    pass


def fake_nvml(count: int, *, works: bool = True) -> SimpleNamespace:
    def start() -> None:
        if not works:
            raise NVMLError

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}{index}{index}",
        nvmlDeviceGetName=lambda index: "Faked",
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(total=8 << 30),
    )


def test_every_gpu_is_found_with_its_memory():
    assert discover({}, fake_nvml(2)) == [Gpu("GPU-000", "Faked", 8192), Gpu("GPU-111", "Faked", 8192)]


def test_a_machine_without_a_driver_has_none():
    assert discover({}, fake_nvml(2, works=False)) == []


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [("1,0", ["GPU-111", "GPU-000"]), ("GPU-1", ["GPU-111"]), ("", []), ("-1", []), ("7", [])],
)
def test_only_visible_gpus_count_and_in_their_order(visible, uuids):
    found = discover({"CUDA_VISIBLE_DEVICES": visible}, fake_nvml(2))
    assert [gpu.uuid for gpu in found] == uuids


def test_one_slot_per_gpu_unless_fewer_are_wanted():
    gpus = discover({}, fake_nvml(2))
    assert assign(gpus, None) == gpus
    assert assign(gpus, 1) == gpus[:1]


def test_more_slots_than_gpus_are_refused():
    with pytest.raises(InvalidValue, match="3 slots, but only 2 GPUs"):
        assign(discover({}, fake_nvml(2)), 3)


def test_a_machine_without_gpus_has_cpu_slots():
    assert assign([], None) == [None]
    assert assign([], 3) == [None, None, None]
