"""How hard the machine works for this attempt, sampled at reports."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

STATUS = Path("/proc/self/status")
EVERY = 5.0  # seconds between two samples


@dataclass
class Vitals:
    """Samples this process and its GPU, at most once in EVERY seconds."""

    device: torch.device
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only starts the measuring
        self._next = 0.0

    def sample(self) -> dict[str, float]:
        """Return metrics named system/..., or nothing if it is too early."""
        if self.clock() < self._next:
            return {}
        self._next = self.clock() + EVERY
        found = {
            "system/cpu_percent": self._process.cpu_percent(),
            "system/memory_mb": self._process.memory_info().rss / 2**20,
        }
        if self.device.type == "cuda":
            found["system/gpu_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        return found


def peaks() -> dict[str, float]:
    """Return the most memory that this process has held so far, in MiB, as facts of its attempt.

    Of the card of which it held most, what torch had reserved there, which others could not have; CUDA's own
    part of some hundred MB comes on top. Nothing of cards where it computed on none.
    """
    found = {"peak_rss_mb": peak_memory_mb(torch.device("cpu"))}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        cards = range(torch.cuda.device_count())
        found["peak_card_mb"] = max(torch.cuda.max_memory_reserved(card) for card in cards) / 2**20
        found["peak_card_allocated_mb"] = max(torch.cuda.max_memory_allocated(card) for card in cards) / 2**20
    return {name: round(value, 1) for name, value in found.items()}


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory that this process has held so far, in MiB: of its GPU where it computes there.

    Of the CPU it is what was resident, libraries and mapped pictures included: what a machine has to have.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 2**10
    except (OSError, KeyError, ValueError):  # no Linux
        unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
