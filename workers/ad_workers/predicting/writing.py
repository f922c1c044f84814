"""Files that are written whole or not at all, and what is said where that cannot be done."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ad_platform.errors import AdctlError, DiskFull, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def placing(target: Path) -> Iterator[Path]:
    """Give a name to write to, and rename it into place: readers never see half a file.

    Raises DiskFull, and Unavailable for a folder that cannot be written.
    """
    begun = target.with_name(f".{target.name}.begun")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield begun
        begun.replace(target)
    except OSError as error:
        raise trouble(target, error) from error
    finally:
        with suppress(OSError):
            begun.unlink()


def trouble(target: Path, error: OSError) -> AdctlError:
    """Return what is said of a file that could not be written."""
    words = f"cannot write {target}: {(error.strerror or str(error)).lower()}"
    if error.errno in _FULL:
        return DiskFull(f"{words}; make room or choose another folder")
    return Unavailable(f"{words}; choose another folder: --out DIR")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as lasting as what they name, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
