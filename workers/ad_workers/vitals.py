"""How hard the machine works for this attempt, sampled at reports."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

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
