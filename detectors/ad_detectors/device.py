"""Which device to compute on, and why; a wish that cannot be met is an error, never a silent CPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_detectors.errors import DeviceError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """A usable device."""

    device: torch.device
    reason: str  # one line for the log
    autocast: bool  # mixed precision is worth it and safe here: CUDA with bfloat16

    @property
    def precision(self) -> str:
        """Return "amp" where fits compute in mixed precision, else "fp32"."""
        return "amp" if self.autocast else "fp32"


def choose(request: str = "auto") -> Device:
    """Return the device for auto, cpu, cuda, mps or CUDA indices such as "0,1".

    Of several indices the first computes; all must exist. Raises DeviceError when the wish cannot be met.
    """
    import torch

    wish = request.strip().lower()
    if wish == "auto":
        return _best()
    if wish == "cpu":
        return Device(torch.device("cpu"), "cpu was asked for", autocast=False)
    if wish == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("device 'mps' cannot be used: this torch or this machine has no Metal; use cpu")
        return Device(torch.device("mps"), "mps was asked for", autocast=False)
    if wish == "cuda":
        return _cuda((0,), "cuda was asked for")
    if re.fullmatch(r"\d+( *, *\d+)*", wish):
        return _cuda(tuple(int(part) for part in wish.split(",")), f"CUDA device {wish} was asked for")
    raise DeviceError(f"no device '{request}'; use auto, cpu, cuda, mps or CUDA indices such as 0,1")


def _best() -> Device:
    import torch

    try:
        return _cuda((0,), "a CUDA device is there")
    except DeviceError as error:
        why = str(error)
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), "no CUDA device, but Metal is there", autocast=False)
    return Device(torch.device("cpu"), why, autocast=False)


def _cuda(indices: tuple[int, ...], reason: str) -> Device:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        why = "torch finds no NVIDIA driver or device" if built else "this torch was built without CUDA"
        raise DeviceError(f"CUDA cannot be used: {why}; use --device cpu or install what is missing")
    count = torch.cuda.device_count()
    for index in indices:
        if index >= count:
            raise DeviceError(f"there is no CUDA device {index}; this process sees {count}: 0..{count - 1}")
    chosen = torch.device("cuda", indices[0])
    try:
        torch.zeros(1, device=chosen)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise DeviceError(f"CUDA device {indices[0]} does not work: {first}; use --device cpu") from error
    return Device(chosen, reason, autocast=torch.cuda.is_bf16_supported())


def mixed_precision(device: torch.device, wanted: bool, *, on_cpu: bool = False) -> torch.autocast:
    """Return the context to compute in: bfloat16 where it is wanted on CUDA, or asked for on a CPU."""
    import torch

    enabled = {"cuda": wanted, "cpu": on_cpu}.get(device.type, False)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def reading_threads(device: torch.device) -> int:
    """Return how many threads read batches ahead: one beside a CUDA device, none where it would compete."""
    return 1 if device.type == "cuda" else 0
