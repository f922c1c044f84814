"""Arrays in files that processes map: made once, whole or not there, bounded, the longest unused go first.

Several processes that want one array make it once: who gets the file's lock makes it, the others wait and map
the same pages. A file has its name only after every byte of it is on the disk, and is never written to again,
so a maker that was killed leaves nothing that could be taken for an array. A file that another process has
mapped may be removed: POSIX keeps its pages until that process lets go of them.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ad_detectors.errors import ConfigError, DataError, NoRoom

Kind = TypeVar("Kind", bound=np.generic)

VARIABLE = "ADCTL_CACHE_GB"
USUAL_GB = 20.0  # all of MVTec AD at 512 px, four times over
ARRAY, LOCK, BEGUN = ".npy", ".lock", ".tmp"


@dataclass(frozen=True)
class Wanted(Generic[Kind]):
    """An array: the name its content has, how it looks, and how to make it, row by row."""

    name: str  # without a suffix; another content must have another name
    shape: tuple[int, ...]
    dtype: np.dtype[Kind]
    rows: Callable[[], Iterator[NDArray[Kind]]]  # may raise DataError, no OSError

    @property
    def size(self) -> int:
        """Return how many bytes its elements take."""
        return math.prod(self.shape) * self.dtype.itemsize


def limit_from_environment(environ: Mapping[str, str] | None = None) -> int:
    """Return how many bytes a folder may hold: the one place that reads ADCTL_CACHE_GB."""
    text = (os.environ if environ is None else environ).get(VARIABLE) or str(USUAL_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not 0 < gigabytes < math.inf:
        raise ConfigError(f"{VARIABLE} must be a number of gigabytes above 0, not '{text}'")
    return int(gigabytes * 1e9)


def mapped(folder: Path, wanted: Wanted[Kind], limit: int | None = None) -> NDArray[Kind]:
    """Map an array of this folder, read-only, making it first if it is missing or not whole.

    `limit` bounds the bytes of the whole folder (ADCTL_CACHE_GB unless given); an array that is larger than
    that is kept until another one is made. What `rows` raises passes through. Raises NoRoom on a full disk
    and DataError for a folder that cannot be written, naming it.
    """
    most = limit_from_environment() if limit is None else limit
    file = folder / f"{wanted.name}{ARRAY}"
    found = _opened(file, wanted)
    if found is not None:
        return found
    with _named_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock(file)):
            found = _opened(file, wanted)  # somebody else may have made it while we waited
            if found is None:
                _forget(file)
                _make_room(folder, most, wanted.size)
                found = _written(file, wanted)
        _make_room(folder, most, keep=file)
    return found


def _opened(file: Path, wanted: Wanted[Kind]) -> NDArray[Kind] | None:
    """Map a file and mark it as used now; None if it is missing, cut short, or something else."""
    try:
        with file.open("rb") as opened:
            if np.lib.format.read_magic(opened) != (1, 0):
                return None
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(opened)
            start = opened.tell()
            whole = os.fstat(opened.fileno()).st_size == start + wanted.size
            if (shape, by_columns, dtype, whole) != (wanted.shape, False, wanted.dtype, True):
                return None
            with suppress(OSError):  # a cache that may only be read
                os.utime(opened.fileno() if os.utime in os.supports_fd else file)
            # By descriptor, since the name may be gone by now: somebody may just have made room.
            return np.memmap(opened, wanted.dtype, "r", start, wanted.shape)
    except (OSError, ValueError, EOFError):
        return None


def _written(file: Path, wanted: Wanted[Kind]) -> NDArray[Kind]:
    """Write an array under a name of our own, then give it its name.

    Plain writes, not a writable map: on a full disk those raise, and a map kills the process.
    """
    with tempfile.NamedTemporaryFile(
        dir=file.parent, prefix=f"{file.name}.", suffix=BEGUN, delete=False
    ) as begun:
        own = Path(begun.name)
        try:
            _write(begun, wanted)
            found = _opened(own, wanted)  # before it has its name: nobody can remove it in between
            if found is None:
                raise DataError(f"{own} is not what was written to it; check the disk")
            own.replace(file)
        except BaseException:
            own.unlink(missing_ok=True)
            raise
    return found


def _write(begun: IO[bytes], wanted: Wanted[Kind]) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(wanted.dtype),
        "fortran_order": False,
        "shape": wanted.shape,
    }
    np.lib.format.write_array_header_1_0(begun, header)
    for row in wanted.rows():
        begun.write(row.tobytes())
    begun.flush()
    os.fsync(begun.fileno())


def _make_room(folder: Path, limit: int, needed: int = 0, keep: Path | None = None) -> None:
    """Remove what was unused for longest until `needed` more bytes fit; raise NoRoom if they cannot.

    Two processes that do this at once remove the same files, so no lock is needed.
    """
    found = sorted(_kept(folder), key=lambda each: each.used)
    free, total = shutil.disk_usage(folder).free, sum(each.size for each in found)
    if needed > free + total:
        raise NoRoom(
            f"no room in {folder} for {needed / 1e9:.2f} GB of decoded pictures, only for "
            f"{(free + total) / 1e9:.2f} GB; free some space"
        )
    most = min(limit, total + free)
    for each in found:
        if total + needed <= most:
            return
        if each.file != keep and _removed(each.file):
            total -= each.size


@dataclass(frozen=True)
class _Kept:
    """A file in the folder, whole or begun."""

    file: Path
    size: int
    used: int  # when, in nanoseconds


def _kept(folder: Path) -> Iterator[_Kept]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((ARRAY, BEGUN)):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield _Kept(Path(entry.path), status.st_size, status.st_mtime_ns)


def _removed(file: Path) -> bool:
    """Remove a file with its lock, unless somebody is just writing it; say whether it is gone."""
    array = file if file.suffix == ARRAY else file.with_name(file.name.partition(ARRAY)[0] + ARRAY)
    lock = FileLock(_lock(array), timeout=0)
    try:
        with lock:
            file.unlink(missing_ok=True)
            # Whoever waits for a lock that is removed here notices, or at worst makes an array twice.
            Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _forget(file: Path) -> None:
    """Remove a file that is not whole, and what makers of it left who were killed; its lock must be held."""
    for broken in (file, *file.parent.glob(f"{file.name}.*{BEGUN}")):
        broken.unlink(missing_ok=True)


def _lock(file: Path) -> Path:
    return file.with_suffix(LOCK)


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    """Say which folder it was that could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(f"no room left in {folder} for decoded pictures; free some space") from error
        reason = error.strerror or error
        raise DataError(f"cannot keep decoded pictures in {folder}: {reason}; make it writable") from error
