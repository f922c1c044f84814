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
