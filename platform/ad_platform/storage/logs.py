"""What an attempt printed, kept in numbered chunks so that it can be followed while it grows."""

from dataclasses import dataclass

from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import log_path, logs_prefix


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """Some of a log, and where to go on reading."""

    content: bytes
    next_chunk: int


class LogWriter:
    """Appends to the log of one attempt; each attempt has one writer at a time."""

    def __init__(self, storage: Storage, job_id: str, attempt: int) -> None:
        self._storage = storage
        self._job_id, self._attempt = job_id, attempt
        self._chunk: int | None = None

    def append(self, content: bytes) -> None:
        """Add bytes to the log; after an error the same bytes may be appended again."""
        if not content:
            return
        if self._chunk is None:  # a writer that starts again goes on behind what is there
            self._chunk = len(self._storage.names(logs_prefix(self._job_id, self._attempt)))
        self._storage.write(log_path(self._job_id, self._attempt, self._chunk), content)
        self._chunk += 1


def read_log(storage: Storage, job_id: str, attempt: int, from_chunk: int = 0) -> LogPart:
    """Return what an attempt printed from a chunk on; nothing new gives no bytes and the same chunk."""
    parts: list[bytes] = []
    while (content := storage.read(log_path(job_id, attempt, from_chunk + len(parts)))) is not None:
        parts.append(content)
    return LogPart(content=b"".join(parts), next_chunk=from_chunk + len(parts))
