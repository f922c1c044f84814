"""Tests of what may not be read or written, run by whoever: root gives up passing by permissions."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
_PASS_BY = 1 << 1 | 1 << 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def permissions_hold() -> Iterator[None]:
    """Within it the permissions of files bind this thread, as they bind everybody but root."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = _Header(_VERSION_3, 0), (_Capabilities * 2)()

    def call(name: str, sets: ctypes.Array[_Capabilities]) -> None:
        if getattr(libc, name)(ctypes.byref(header), sets):
            raise OSError(ctypes.get_errno(), f"{name} failed")

    call("capget", held)
    fewer = (_Capabilities * 2).from_buffer_copy(held)
    fewer[0].effective &= ~_PASS_BY
    call("capset", fewer)
    try:
        yield
    finally:
        call("capset", held)
