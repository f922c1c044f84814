"""Every way to fail gets its class."""

import errno

import pytest

from ad_detectors.errors import DataError, NoRoom, NotFinite
from ad_platform.errors import DiskFull, InvalidData, StorageDown
from ad_platform.states import FailureClass
from ad_workers.exits import classify, describe


class OutOfMemoryError(RuntimeError):
    """Stands for torch.cuda's, which is known by its name."""


def chained() -> Exception:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as cause:
            raise RuntimeError("could not save") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (MemoryError(), FailureClass.OOM),
        (OutOfMemoryError("CUDA out of memory"), FailureClass.OOM),
        (NotFinite("loss"), FailureClass.NAN),
        (DataError("x.png"), FailureClass.DATA),
        (InvalidData("changed"), FailureClass.DATA),
        (DiskFull("no room"), FailureClass.DISK),
        (NoRoom("no room for pictures"), FailureClass.DISK),
        (OSError(errno.ENOSPC, "No space left on device"), FailureClass.DISK),
        (chained(), FailureClass.DISK),
        (StorageDown("s3"), FailureClass.INFRA),
        (ZeroDivisionError(), FailureClass.CODE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_is_classified(error, failure):
    assert classify(error) is failure


def test_a_signal_is_named():
    assert "SIGSEGV" in describe(-11)
    assert "out-of-memory" in describe(-9)
    assert "code 7" in describe(7)
