"""Looks at the places on this machine: ADCTL_HOME, the sockets' folder, and room on the disks."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from ad_platform.doctor.findings import Finding, ok, problem, warning
from ad_platform.settings import Settings
from ad_platform.stack.places import longest_socket, too_long

GB = 10**9
LITTLE, TOO_LITTLE = 5 * GB, GB // 2  # a run writes decoded pictures, checkpoints and pictures of results
FEW, TOO_FEW = 0.05, 1000  # the part of a disk's files, and the files, that are left
SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "lustre", "webdav")


def home(settings: Settings) -> Iterator[Finding]:
    """Say whether ADCTL_HOME can be written and lies where databases can."""
    folder = settings.home
    there = existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        yield problem("home", f"{there} is not writable for you", "set ADCTL_HOME to a folder of your own")
        return
    owner = there.stat().st_uid if hasattr(os, "geteuid") else None
    if folder.exists() and owner is not None and owner != os.geteuid():
        yield warning(
            "home",
            f"{folder} is user {owner}'s, you are {os.geteuid()}: what you make there may lock it out",
            "call adctl as its owner, or set ADCTL_HOME",
        )
    kind = _filesystem(there)
    if kind in SHARED and settings.embedded:
        yield warning(
            "home",
            f"{folder} lies on a network disk ({kind}), where SQLite's locks do not hold",
            "set ADCTL_HOME to a local disk",
        )
    if not folder.exists():
        yield ok("home", f"{folder} is not there yet and can be made")
    elif owner in (None, getattr(os, "geteuid", lambda: None)()) and kind not in SHARED:
        yield ok("home", f"{folder} is writable")


def sockets(settings: Settings) -> Iterator[Finding]:
    """Say whether the services' sockets can lie where they must."""
    folder = settings.run_dir
    if sys.platform == "win32":
        yield problem(
            "sockets",
            "adctl up does not run on Windows itself",
            "use WSL, or point the ADCTL_* addresses at a cluster",
        )
        return
    if too_long(folder):
        yield problem(
            "sockets",
            f"{longest_socket(folder)} is too long a path for a socket",
            "set TMPDIR to a shorter one, such as /tmp",
        )
        return
    there = existing(folder)
    foreign = folder.exists() and (folder.is_symlink() or folder.stat().st_uid != os.geteuid())
    if foreign:
        yield problem("sockets", f"{folder} belongs to somebody else", "remove it, or set TMPDIR")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield problem("sockets", f"{there} is not writable for you", "set TMPDIR to a folder of your own")
    else:
        yield ok("sockets", f"{folder} can hold them")


def disks(settings: Settings) -> Iterator[Finding]:
    """Say how much room is left where adctl writes; places on one disk are one finding."""
    places: dict[int, tuple[Path, list[str]]] = {}
    for name, folder in written(settings).items():
        there = existing(folder)
        places.setdefault(there.stat().st_dev, (there, []))[1].append(name)
    for there, names in places.values():
        free = shutil.disk_usage(there).free
        where = f"for {' and '.join(names)} ({there})"
        yield room(free, where)
        yield from entries(there, where)


def room(free: int, where: str) -> Finding:
    """Judge the bytes that are left on a disk."""
    said = f"{free / GB:.1f} GB free {where}"
    remedy = "free some: adctl removes nothing by itself but old checkpoints and decoded pictures"
    if free < TOO_LITTLE:
        return problem("disk", f"{said}, too little for a run", remedy)
    if free < LITTLE:
        return warning("disk", f"{said}, which a few runs may fill", remedy)
    return ok("disk", said)


def entries(folder: Path, where: str) -> Iterator[Finding]:
    """Say whether a disk is about to hold no more files, whatever room is left."""
    if not hasattr(os, "statvfs"):
        return
    found = os.statvfs(folder)
    yield from few_files(found.f_favail, found.f_files, where)


def few_files(left: int, of: int, where: str) -> Iterator[Finding]:
    """Judge how many more files a disk can hold; one that counts none (0 of 0) has no limit."""
    if of <= 0 or left >= FEW * of:
        return
    said = f"{left:,} of {of:,} files are left {where}"
    remedy = "remove some files: the disk counts them, whatever their size"
    too_few = left < TOO_FEW
    yield (problem if too_few else warning)("disk", said, remedy)


def written(settings: Settings) -> Mapping[str, Path]:
    """Return the folders of this machine that adctl writes to, by what they are for."""
    folders = {"ADCTL_HOME": settings.home, "temporary files": Path(tempfile.gettempdir())}
    protocol, mark, rest = settings.storage_url.partition("://")
    if not mark or protocol in ("file", "local"):
        folders["the storage"] = Path(rest if mark else settings.storage_url).expanduser().absolute()
    return folders


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    for one in (folder, *folder.parents):
        if one.is_dir():
            return one
    return Path(folder.anchor or ".")


def on_network_disk(folder: Path) -> bool:
    """Say whether a folder lies on a disk of another machine."""
    return _filesystem(folder) in SHARED


def _filesystem(folder: Path) -> str:
    """Return the kind of filesystem a folder lies on; empty where nobody tells."""
    try:
        mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    except (OSError, psutil.Error):
        return ""
    resolved = folder.resolve()
    return next((mounts[one] for one in (resolved, *resolved.parents) if one in mounts), "")
