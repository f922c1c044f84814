"""What choosing a device promises: the wish, or an error that says why not."""

import pytest
import torch

from ad_detectors import device
from ad_detectors.errors import DeviceError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> "Machine":
    return Machine(monkeypatch)


class Machine:
    """Fakes what torch says about the hardware."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.has(cuda=0)

    def has(self, cuda: int, *, metal: bool = False, works: bool = True, bf16: bool = True) -> None:
        self.patch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        self.patch.setattr(torch.cuda, "device_count", lambda: cuda)
        self.patch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
        self.patch.setattr(torch.backends.mps, "is_available", lambda: metal)

        def zeros(*size: int, device: torch.device) -> None:
            if not works:
                raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")

        self.patch.setattr(torch, "zeros", zeros)


def test_auto_takes_cuda_then_metal_then_the_cpu(machine: Machine) -> None:
    machine.has(cuda=1, metal=True)
    assert device.choose("auto").device == torch.device("cuda", 0)
    machine.has(cuda=0, metal=True)
    assert device.choose("auto").device == torch.device("mps")
    machine.has(cuda=0)
    chosen = device.choose("auto")
    assert chosen.device == torch.device("cpu")
    assert "CUDA cannot be used" in chosen.reason


def test_auto_falls_back_to_the_cpu_when_the_gpu_does_not_work_and_says_why(machine: Machine) -> None:
    machine.has(cuda=1, works=False)
    chosen = device.choose("auto")
    assert chosen.device.type == "cpu"
    assert "no kernel image" in chosen.reason


@pytest.mark.parametrize("wish", ["cuda", "0", "0,1", "CUDA"])
def test_a_wish_for_cuda_never_ends_on_the_cpu(machine: Machine, wish: str) -> None:
    with pytest.raises(DeviceError, match="CUDA cannot be used"):
        device.choose(wish)


def test_a_gpu_that_does_not_work_is_an_error_of_one_line(machine: Machine) -> None:
    machine.has(cuda=1, works=False)
    with pytest.raises(DeviceError, match="no kernel image") as caught:
        device.choose("cuda")
    assert "\n" not in str(caught.value)


def test_of_several_indices_the_first_computes_and_all_must_exist(machine: Machine) -> None:
    machine.has(cuda=2)
    assert device.choose("1,0").device == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="no CUDA device 2; this process sees 2"):
        device.choose("0,2")


def test_mixed_precision_is_for_cuda_with_bfloat16_only(machine: Machine) -> None:
    assert not device.choose("cpu").autocast
    machine.has(cuda=1)
    assert device.choose("cuda").autocast
    machine.has(cuda=1, bf16=False)
    assert not device.choose("cuda").autocast


@pytest.mark.parametrize("wish", ["gpu", "", "0,", "-1", "cuda:0:1"])
def test_a_wish_that_is_no_device_is_told_what_there_is(machine: Machine, wish: str) -> None:
    with pytest.raises(DeviceError, match="use auto, cpu, cuda, mps or CUDA indices"):
        device.choose(wish)


def test_metal_that_is_not_there_is_an_error(machine: Machine) -> None:
    with pytest.raises(DeviceError, match="Metal"):
        device.choose("mps")


def test_bfloat16_is_asked_for_on_cuda_alone_and_only_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, torch.dtype, bool]] = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: asked.append((kind, dtype, enabled)))
    for kind in ("cuda", "cpu", "mps"):
        for wanted in (True, False):
            device.mixed_precision(torch.device(kind), wanted)
    assert [each for each in asked if each[2]] == [("cuda", torch.bfloat16, True)]
    assert len(asked) == 6


def test_batches_are_read_ahead_beside_a_cuda_device_alone() -> None:
    threads = {kind: device.reading_threads(torch.device(kind)) for kind in ("cuda", "cpu", "mps")}
    assert threads == {"cuda": 1, "cpu": 0, "mps": 0}
