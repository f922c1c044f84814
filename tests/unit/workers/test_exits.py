"""Every way to fail gets its class."""

import errno

import pytest
import torch

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


def in_the_midst_of_it() -> Exception:
    try:
        try:
            raise MemoryError
        except MemoryError:
            raise DataError("x.png cannot be read")  # noqa: B904 - as a careless library would
    except DataError as error:
        return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), FailureClass.OOM),
        (RuntimeError("CUDA error: out of memory"), FailureClass.OOM),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), FailureClass.OOM),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), FailureClass.OOM),
        (RuntimeError("not enough memory: you tried to allocate 4096 bytes."), FailureClass.OOM),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), FailureClass.OOM),
        (in_the_midst_of_it(), FailureClass.OOM),
        (ValueError("the plot is out of memory lane"), FailureClass.CODE),
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


def test_what_torch_raises_where_the_host_has_no_room_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert classify(caught.value) is FailureClass.OOM


def test_a_signal_is_named():
    assert "SIGSEGV" in describe(-11)
    assert describe(-9) == "the process was killed by SIGKILL (signal 9)"
    assert "signal 63" in describe(-63)
    assert "code 7" in describe(7)
