"""Slots are given out by UUID, in the order of CUDA_VISIBLE_DEVICES."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ad_platform.errors import InvalidValue
from ad_workers.gpu import Found, Gpu, assign, discover, within_slot


class NVMLError(Exception):
    pass


def fake_nvml(count: int, *, works: bool = True, lost: bool = False) -> SimpleNamespace:
    def start() -> None:
        if not works:
            raise NVMLError("Driver Not Loaded")

    def handle(index: int) -> int:
        if lost:
            raise NVMLError("GPU is lost")
        return index

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlSystemGetDriverVersion=lambda: "580.65",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 13020,
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetCudaComputeCapability=lambda index: [9, 0],
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}{index}{index}",
        nvmlDeviceGetName=lambda index: "Faked",
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(total=8 << 30),
    )


def bus(root: Path, *devices: tuple[str, str]) -> Path:
    """Make a folder as Linux shows the devices of a machine: maker and class of each."""
    for number, (vendor, kind) in enumerate(devices):
        folder = root / f"0000:00:0{number}.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    return root


def test_every_gpu_is_found_with_its_memory_and_the_driver():
    assert discover({}, fake_nvml(2)) == Found(
        gpus=(Gpu("GPU-000", "Faked", 8192, "9.0"), Gpu("GPU-111", "Faked", 8192, "9.0")),
        driver="580.65",
        driver_cuda="13.2",
    )


def test_a_machine_without_card_and_driver_has_none(tmp_path):
    no_cards = bus(tmp_path / "other", ("0x8086", "0x030000"), ("0x10de", "0x020000"))

    assert discover({}, fake_nvml(2, works=False), no_cards) == Found()
    assert discover({}, fake_nvml(2, works=False), tmp_path / "no such folder") == Found()


def test_a_card_whose_driver_does_not_answer_is_told_unless_it_is_hidden(tmp_path):
    nvml, pci = fake_nvml(1, works=False), bus(tmp_path, ("0x10de", "0x030200"))

    assert discover({}, nvml, pci) == Found(silent="Driver Not Loaded")
    assert discover({"CUDA_VISIBLE_DEVICES": "0"}, nvml, pci).silent == "Driver Not Loaded"
    assert discover({"CUDA_VISIBLE_DEVICES": ""}, nvml, pci) == Found()
    assert discover({"CUDA_VISIBLE_DEVICES": "-1"}, nvml, pci) == Found()


def test_a_card_that_was_lost_is_no_crash():
    assert discover({}, fake_nvml(1, lost=True)) == Found(silent="GPU is lost")


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [("1,0", ["GPU-111", "GPU-000"]), ("GPU-1", ["GPU-111"]), ("", []), ("-1", []), ("7", [])],
)
def test_only_visible_gpus_count_and_in_their_order(visible, uuids):
    found = discover({"CUDA_VISIBLE_DEVICES": visible}, fake_nvml(2))
    assert [gpu.uuid for gpu in found.gpus] == uuids


def test_one_slot_per_gpu_unless_fewer_are_wanted():
    gpus = list(discover({}, fake_nvml(2)).gpus)
    assert assign(gpus, None) == gpus
    assert assign(gpus, 1) == gpus[:1]


def test_more_slots_than_gpus_are_refused():
    with pytest.raises(InvalidValue, match="3 slots, but only 2 GPUs"):
        assign(discover({}, fake_nvml(2)).gpus, 3)


def test_a_machine_without_gpus_has_cpu_slots():
    assert assign([], None) == [None]
    assert assign([], 3) == [None, None, None]


@pytest.mark.parametrize(
    ("device", "card", "chosen"),
    [("1", "GPU-7", "cuda"), ("0,1", "GPU-7", "cuda"), ("cuda:1", "GPU-7", "cuda"), ("cuda", "GPU-7", "cuda")]
    + [(device, "GPU-7", device) for device in ("auto", "cpu", "mps")]
    + [("1", None, "1"), ("auto", None, "auto")],
)
def test_in_a_slot_an_index_of_the_node_means_the_card_of_the_slot(device, card, chosen):
    assert within_slot(device, card) == chosen
