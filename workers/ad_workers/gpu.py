"""Which GPUs this machine has, by UUID: indices change with the driver and with CUDA_VISIBLE_DEVICES."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ad_platform.errors import InvalidValue

PCI = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"  # the maker, and how the class of a graphics card begins


@dataclass(frozen=True)
class Gpu:
    """One graphics card."""

    uuid: str
    name: str
    memory_mb: int
    capability: str = ""  # its compute capability, as "9.0"


@dataclass(frozen=True)
class Found:
    """What the NVIDIA driver says; without one, what the bus says."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""  # its version
    driver_cuda: str = ""  # the newest CUDA it knows, as "13.0"
    silent: str = ""  # there is a card, but no driver answers: why


def discover(
    environ: Mapping[str, str] | None = None, nvml: ModuleType | None = None, pci: Path = PCI
) -> Found:
    """Return the GPUs this worker may use, in the order of CUDA_VISIBLE_DEVICES; CUDA is not started."""
    env = os.environ if environ is None else environ
    found = _all(nvml, pci)
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen = [_pick(found.gpus, item.strip()) for item in visible.split(",") if item.strip()]
    gpus = tuple(gpu for gpu in chosen if gpu is not None)
    hidden = visible.strip() in ("", "-1")
    return Found(gpus, found.driver, found.driver_cuda, "" if hidden else found.silent)


def _all(nvml: ModuleType | None, pci: Path) -> Found:
    if nvml is None:
        try:
            import pynvml as nvml  # type: ignore[no-redef]
        except ImportError:
            return Found(silent="nvidia-ml-py is not installed" if _on_the_bus(pci) else "")
    assert nvml is not None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Found(silent=str(error) or "no reason given") if _on_the_bus(pci) else Found()
    try:
        count = int(nvml.nvmlDeviceGetCount())
        cuda = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
        return Found(
            gpus=tuple(_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)),
            driver=str(nvml.nvmlSystemGetDriverVersion()),
            driver_cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
        )
    except nvml.NVMLError as error:  # a card that has fallen off the bus
        return Found(silent=str(error) or "no reason given")
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: ModuleType, handle: object) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_mb=int(nvml.nvmlDeviceGetMemoryInfo(handle).total) >> 20,
        capability=f"{major}.{minor}",
    )


def _on_the_bus(pci: Path) -> bool:
    """Say whether an NVIDIA card is built in, whoever drives it; only Linux tells."""
    try:
        return any(
            (device / "vendor").read_text().strip() == NVIDIA
            and (device / "class").read_text().startswith(DISPLAY)
            for device in pci.iterdir()
        )
    except OSError:
        return False


def _pick(gpus: Sequence[Gpu], item: str) -> Gpu | None:
    """Return the GPU an entry of CUDA_VISIBLE_DEVICES means: an index or the start of a UUID."""
    if item.lstrip("-").isdigit():
        index = int(item)
        return gpus[index] if 0 <= index < len(gpus) else None
    return next((gpu for gpu in gpus if gpu.uuid.startswith(item)), None)


def assign(gpus: Sequence[Gpu], slots: int | None) -> list[Gpu | None]:
    """Return the GPU of each slot: one slot per GPU, or `slots` CPU slots where there is none.

    Raises InvalidValue for more slots than GPUs: two jobs on one card would take each other's memory.
    """
    if not gpus:
        return [None] * (slots or 1)
    wanted = len(gpus) if slots is None else slots
    if wanted > len(gpus):
        raise InvalidValue(f"{wanted} slots, but only {len(gpus)} GPUs: one job per GPU; lower --slots")
    return list(gpus[:wanted])


def within_slot(device: str, card: str | None) -> str:
    """Return what a child is to choose: it sees the card of its slot alone, whatever that card's index."""
    return device if card is None or device.lower() in ("auto", "cpu", "mps") else "cuda"
