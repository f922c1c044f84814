"""Where pages go: over what an earlier call wrote there, never over anything else."""

import errno
from collections.abc import Mapping
from pathlib import Path

from ad_platform.errors import DiskFull, InvalidRequest, Unavailable
from ad_platform.pages.frame import GENERATOR

PAGES = (".html", ".htm")
BEGINNING = 4096  # bytes in which a file of ours says that it is one
_FULL = (errno.ENOSPC, errno.EDQUOT)
_MARK = f'content="{GENERATOR}"'.encode()


def page_place(to: Path) -> Path:
    """Return where a page goes: into a file that is named like one, else into a folder as report.html."""
    named = to.suffix.lower() in PAGES and not to.is_dir()
    return (to if named else to / "report.html").absolute()


def write(files: Mapping[Path, bytes], ours: bytes = _MARK) -> None:
    """Write files, all or none as far as one can tell before, each over an older one of its kind.

    A page of ours is known by its generator, any other file by `ours` at its beginning. Raises InvalidRequest
    for a file that is something else and for a folder that is none, Unavailable for one without the right to
    write, DiskFull.
    """
    for path in files:
        _check(path, ours)
    for path, content in files.items():
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever has it open sees the old one or the new one.
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise _refused(path, error) from error


def _check(path: Path, ours: bytes) -> None:
    try:
        if path.is_dir():
            raise InvalidRequest(
                f"{path} is a folder; name a file, or the folder it shall lie in, with --out"
            )
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(path, error) from error
    mark = _MARK if path.suffix.lower() in PAGES else ours
    if beginning and mark not in beginning:
        raise InvalidRequest(
            f"{path} is there already and was not written by adctl report; remove it, or name another place "
            "with --out"
        )


def _refused(path: Path, error: OSError) -> InvalidRequest | Unavailable | DiskFull:
    why = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return DiskFull(f"cannot write {path}: {why}; make room, or name another place with --out")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return InvalidRequest(f"cannot write {path}: {why}; name another place with --out")
    return Unavailable(f"cannot write {path}: {why}; name another place with --out")
