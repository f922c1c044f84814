"""A faked driver of graphics cards, as pynvml shows one."""

from types import SimpleNamespace

GB = 1 << 30


class NVMLError(Exception):
    pass


class FakeNvml(SimpleNamespace):
    """A driver of three cards of 8 GB, each with the processes and the free memory that a test says."""

    def __init__(self) -> None:
        super().__init__(NVMLError=NVMLError)
        self.used: dict[str, int] = {}  # bytes by UUID
        self.on: dict[str, list[SimpleNamespace]] = {}
        self.drawing: dict[str, list[SimpleNamespace]] = {}
        self.lost: set[str] = set()
        self.starts = 0

    def hold(self, uuid: str, pid: int, used: int | None, free: int) -> None:
        self.on.setdefault(uuid, []).append(SimpleNamespace(pid=pid, usedGpuMemory=used))
        self.used[uuid] = 8 * GB - free

    def nvmlInit(self) -> None:  # noqa: N802
        self.starts += 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid in self.lost:
            raise NVMLError("GPU is lost")
        return uuid

    def nvmlDeviceGetMemoryInfo(self, uuid: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=8 * GB, free=8 * GB - self.used.get(uuid, 0))

    def nvmlDeviceGetComputeRunningProcesses(self, uuid: str) -> list[SimpleNamespace]:  # noqa: N802
        return self.on.get(uuid, [])

    def nvmlDeviceGetGraphicsRunningProcesses(self, uuid: str) -> list[SimpleNamespace]:  # noqa: N802
        if uuid == "GPU-2":
            raise NVMLError("Not Supported")
        return self.drawing.get(uuid, [])
