"""The exit codes of a child, for the supervisor that waits for it."""

import errno
import signal
from enum import IntEnum

from ad_platform.states import FailureClass


class Exit(IntEnum):
    """How a child says it ended; anything else is a crash."""

    DONE = 0  # after a Done message
    FAILED = 10  # after a Failed message
    CANCELLED = 11
    DRAINED = 12  # after a checkpoint
    PRUNED = 13
    LOST = 14  # its lease ran out, or its supervisor is gone
    NO_MEMORY = 15  # there was none left even to say so


def describe(status: int) -> str:
    """Say in words how a process ended; `status` as of waitpid's exit code: negative for a signal."""
    if status < 0:
        names = {each.value: f"{each.name} (signal {each.value})" for each in signal.Signals}
        return f"the process was killed by {names.get(-status, f'signal {-status}')}"
    return f"the process ended with code {status} without saying why"


def is_disk_full(error: BaseException | None) -> bool:
    """Say whether an error, or one that caused it, is about a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


# How libraries say that memory did not suffice where they have no type of error for it.
NO_MEMORY = (
    *("out of memory", "not enough memory: you tried to allocate", "DefaultCPUAllocator: can't allocate"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "std::bad_alloc"),
)
MEMORY_ERRORS = ("MemoryError", "OutOfMemoryError")  # Python's and NumPy's; torch's


def is_out_of_memory(error: BaseException | None) -> bool:
    """Say whether an error, or one that caused it, is about memory of the host or a GPU."""
    while error is not None:
        if any(base.__name__ in MEMORY_ERRORS for base in type(error).__mro__):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


# The names of error types, not the types: the libraries that define them are torch's and the detectors'.
CLASSES: dict[str, FailureClass] = {
    "NotFinite": FailureClass.NAN,
    "DataError": FailureClass.DATA,
    "InvalidData": FailureClass.DATA,
    "UnknownDetector": FailureClass.CONFIG,
    "ConfigError": FailureClass.CONFIG,
    "DeviceError": FailureClass.CONFIG,
    "Peeked": FailureClass.CODE,  # the detector has to change
    "WeightsNotFound": FailureClass.CONFIG,
    "DiskFull": FailureClass.DISK,
    "NoRoom": FailureClass.DISK,
    "StorageDown": FailureClass.INFRA,
    "Unavailable": FailureClass.INFRA,
    "CorruptBundle": FailureClass.INFRA,
}


def classify(error: BaseException) -> FailureClass:
    """Return the class of failure an exception stands for."""
    if is_disk_full(error):
        return FailureClass.DISK
    if is_out_of_memory(error):
        return FailureClass.OOM
    for base in type(error).__mro__:
        if base.__name__ in CLASSES:
            return CLASSES[base.__name__]
    return FailureClass.CODE
