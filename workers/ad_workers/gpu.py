"""Which GPUs this machine has, by UUID: indices change with the driver and with CUDA_VISIBLE_DEVICES."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from ad_platform.errors import InvalidValue


@dataclass(frozen=True)
class Gpu:
    """One graphics card."""

    uuid: str
    name: str
    memory_mb: int


def discover(environ: Mapping[str, str] | None = None, nvml: ModuleType | None = None) -> list[Gpu]:
    """Return the GPUs this worker may use, in the order of CUDA_VISIBLE_DEVICES; none without a driver."""
    env = os.environ if environ is None else environ
    gpus = _all(nvml)
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return gpus
    chosen = [_pick(gpus, item.strip()) for item in visible.split(",") if item.strip()]
    return [gpu for gpu in chosen if gpu is not None]


def _all(nvml: ModuleType | None) -> list[Gpu]:
    if nvml is None:
        try:
            import pynvml as nvml  # type: ignore[no-redef]
        except ImportError:
            return []
    assert nvml is not None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [
            Gpu(
                uuid=str(nvml.nvmlDeviceGetUUID(handle)),
                name=str(nvml.nvmlDeviceGetName(handle)),
                memory_mb=int(nvml.nvmlDeviceGetMemoryInfo(handle).total) >> 20,
            )
            for handle in handles
        ]
    finally:
        nvml.nvmlShutdown()


def _pick(gpus: list[Gpu], item: str) -> Gpu | None:
    """Return the GPU an entry of CUDA_VISIBLE_DEVICES means: an index or the start of a UUID."""
    if item.lstrip("-").isdigit():
        index = int(item)
        return gpus[index] if 0 <= index < len(gpus) else None
    return next((gpu for gpu in gpus if gpu.uuid.startswith(item)), None)


def assign(gpus: list[Gpu], slots: int | None) -> list[Gpu | None]:
    """Return the GPU of each slot: one slot per GPU, or `slots` CPU slots where there is none.

    Raises InvalidValue for more slots than GPUs: two jobs on one card would take each other's memory.
    """
    if not gpus:
        return [None] * (slots or 1)
    wanted = len(gpus) if slots is None else slots
    if wanted > len(gpus):
        raise InvalidValue(f"{wanted} slots, but only {len(gpus)} GPUs: one job per GPU; lower --slots")
    return list(gpus[:wanted])
