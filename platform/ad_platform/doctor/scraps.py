"""Names what dead processes have left on this machine: scratch folders, sockets, files of process ids."""

import errno
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.doctor.jobs import lives
from ad_platform.errors import Conflict, StorageDown
from ad_platform.stack.places import Places
from ad_platform.states import JobState
from ad_platform.storage.contract import Storage
from ad_platform.storage.logs import read_log
from ad_platform.store.contract import Store

ABOUT = "leftovers"
WEEK = 7 * 86400.0  # seconds for which logs are kept in two places
_MARK = re.compile(r"([0-9a-f]{1,16})-a(\d+)")


def scratch(ground: Ground) -> Iterator[Finding]:
    """Name folders of attempts that do not run any more."""
    store, place = ground.store, ground.settings.home / "scratch"
    if store is None:
        return
    patience = 2 * ground.settings.lease  # the child of a fenced attempt ends within a lease
    marked = [(folder, _MARK.fullmatch(folder.name)) for folder in sorted(_children(place))]
    attempts = [(folder, match[1], int(match[2])) for folder, match in marked if match]
    held = _held(store, [job for _, job, _ in attempts])
    left = [
        (folder, job, number)
        for folder, job, number in attempts
        if (job, number) not in held and _age(folder) > patience
    ]
    for folder, job, number in left[: ground.most]:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="scratch-folder",
            subject=folder.name,
            words=f"{folder} is of attempt {number} of job {job}, which does not run",
            mending=Mending(words="removes it", do=partial(_clear, store, folder, job, number)),
        )
    if len(left) > ground.most:
        yield unlooked(ABOUT, f"{len(left) - ground.most} more scratch folders: call it again")


def logs(ground: Ground) -> Iterator[Finding]:
    """Say how many logs of attempts that ended long ago lie here though the storage has all of them."""
    store, place = ground.store, ground.settings.home / "logs" / "jobs"
    if store is None:
        return
    go_on = ground.time_left()
    marked = [(file, _MARK.fullmatch(file.stem)) for file in _children(place, "*.log")]
    old = [(file, match[1], int(match[2])) for file, match in marked if match and _age(file) > WEEK]
    held = _held(store, [job for _, job, _ in old])
    copied: list[Path] = []
    for file, job, number in sorted(old):
        if not go_on():
            break
        if (job, number) not in held and _is_copied(ground.storage, file, job, number):
            copied.append(file)
    if copied:
        size = sum(file.stat().st_size for file in copied) / 1e6
        yield Finding(
            level=Level.OK,
            about=ABOUT,
            kind="copied-logs",
            subject=str(place),
            words=f"{len(copied)} logs of ended attempts lie both here and in the storage ({size:.1f} MB)",
            mending=Mending(words="removes those here", do=partial(_unlink_all, copied)),
        )


def sockets(ground: Ground) -> Iterator[Finding]:
    """Name sockets at which nobody listens, and files that name a process that is dead."""
    places = Places(ground.settings)
    run_dir = ground.settings.run_dir
    if not _ours(run_dir):
        return
    bells = [door for folder in _children(run_dir, "bells-*") for door in _children(folder)]
    for door in (places.control, places.broker, *sorted(bells)):
        if _is_deaf(door):
            yield Finding(
                level=Level.WARNING,
                about=ABOUT,
                kind="dead-socket",
                subject=str(door),
                words=f"nobody listens at {door}",
                mending=Mending(words="removes it", do=partial(_unlink_socket, door)),
            )
    yield from _pid_file(places.pid_file)


def _pid_file(file: Path) -> Iterator[Finding]:
    pid = _pid(file)
    if pid is None or lives(pid):
        return
    yield Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="dead-pid-file",
        subject=str(file),
        words=f"{file} names process {pid}, which is dead",
        mending=Mending(words="removes it", do=partial(_unlink_pid, file, pid)),
    )


def _held(store: Store, job_ids: list[str]) -> set[tuple[str, int]]:
    """Return the attempts that hold their jobs now, of these jobs."""
    found = store.audit.standings(sorted(set(job_ids)))
    return {(one.job_id, one.attempt) for one in found.values() if one.state is JobState.RUNNING}


def _is_copied(storage: Storage, file: Path, job: str, number: int) -> bool:
    """Say whether the storage has all that an attempt printed."""
    try:
        return file.read_bytes() == read_log(storage, job, number).content
    except (OSError, StorageDown):
        return False


def _unlink_all(files: Sequence[Path]) -> str:
    for file in files:
        file.unlink(missing_ok=True)
    return f"{len(files)} were removed"


def _clear(store: Store, folder: Path, job: str, number: int) -> str:
    if (job, number) in _held(store, [job]):
        raise Conflict("its attempt holds the job after all")
    shutil.rmtree(folder)
    return "was removed"


def _children(folder: Path, pattern: str = "*") -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0


def _ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and hasattr(os, "getuid") and found.st_uid == os.getuid()


def _is_deaf(door: Path) -> bool:
    """Say whether a socket is there and refuses to be connected to, which a busy one does not."""
    try:
        if not stat.S_ISSOCK(door.lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1.0)
            line.connect(str(door))
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    return False


def _unlink_socket(door: Path) -> str:
    if not _is_deaf(door):
        return "somebody listens there now, or it is gone"
    with suppress(FileNotFoundError):
        door.unlink()
    return "was removed"


def _pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _unlink_pid(file: Path, pid: int) -> str:
    if _pid(file) != pid:
        return "names another process now, or is gone"
    file.unlink(missing_ok=True)
    return "was removed"
