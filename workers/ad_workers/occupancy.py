"""How much of each card is free for a job, and whose processes hold the rest, as NVML tells it now."""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType

import psutil

from ad_platform.offers import CardNow, Holder
from ad_platform.records import Room
from ad_workers.gpu import Gpu

ROOMY = 0.75  # of a card's memory must be free for a job that asks for no amount
OWN = 0.05, 1024  # of a card's memory, and MB at most, that its driver may take: that holds nobody's memory


@dataclass
class Watch:
    """Looks at the cards of this machine; one whose driver does not answer has no room."""

    nvml: ModuleType | None = None
    started: bool = field(default=False, init=False)

    def look(self, cards: Sequence[Gpu], given: dict[str, str] | None = None) -> list[CardNow]:
        """Return how each card stands; `given` names the job of those that are given to one, by UUID.

        Such a card counts as if its job had ended: what is on it is the job's own.
        """
        jobs = given or {}
        return [self._one(card, jobs.get(card.uuid, "")) for card in cards]

    def _one(self, card: Gpu, job: str) -> CardNow:
        whole = CardNow(
            uuid=card.uuid, name=card.name, memory_mb=card.memory_mb, room=Room(card.memory_mb), job=job
        )
        if job:
            return whole
        nvml = self._started()
        if nvml is None:
            return whole  # a card that was found another way, or in a test
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(card.uuid)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            on_it = [
                *nvml.nvmlDeviceGetComputeRunningProcesses(handle),
                *_graphics(nvml, handle),
            ]
        except nvml.NVMLError as error:
            self.started = False  # a driver that was reloaded must be asked anew
            return _nothing(whole, str(error) or "no reason given")
        total, free = int(memory.total) >> 20, int(memory.free) >> 20
        ours = _ours() if on_it else frozenset()
        holders = tuple(_holder(process) for process in on_it if process.pid not in ours)
        if not holders and total - free <= min(OWN[0] * total, OWN[1]):
            return whole
        if not holders and on_it:
            return whole  # a child of ours that is just ending
        return CardNow(
            uuid=card.uuid,
            name=card.name,
            memory_mb=card.memory_mb,
            room=Room(free, roomy=free >= ROOMY * total),
            holders=holders,
        )

    def _started(self) -> ModuleType | None:
        """Return NVML, started: to start it takes a while, so that is done once."""
        if self.nvml is None:
            try:
                import pynvml
            except ImportError:
                return None
            self.nvml = pynvml
        if not self.started:
            with suppress(self.nvml.NVMLError):  # the question that follows is answered with the same error
                self.nvml.nvmlInit()
                self.started = True
        return self.nvml


def _nothing(card: CardNow, problem: str) -> CardNow:
    return CardNow(
        uuid=card.uuid, name=card.name, memory_mb=card.memory_mb, room=Room(0, roomy=False), problem=problem
    )


def _graphics(nvml: ModuleType, handle: object) -> Sequence[object]:
    """Return what draws on a card, where the driver tells: a desktop holds memory too."""
    try:
        found: Sequence[object] = nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    except nvml.NVMLError:
        return ()
    return found


def _ours() -> Collection[int]:
    """Return this worker's own processes and all that they have started."""
    with suppress(psutil.Error):
        return {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    return {os.getpid()}


def _holder(process: object) -> Holder:
    """Return what the system knows of a process; one outside this container it does not know."""
    pid, used = int(process.pid), process.usedGpuMemory  # type: ignore[attr-defined]
    name = user = ""
    with suppress(psutil.Error):
        known = psutil.Process(pid)
        name, user = known.name(), known.username()
    return Holder(pid=pid, name=name, user=user, mb=int(used) >> 20 if used else 0)
