"""Copies a pushed set of pictures out into a folder of a person's choice."""

from __future__ import annotations

import hashlib
import secrets
import threading
from pathlib import Path

from ad_platform.datasets import contents_of, fingerprint_of
from ad_platform.errors import InvalidData
from ad_platform.pictures.fetched import writing
from ad_platform.pictures.pushing import AT_ONCE, Told, side_by_side
from ad_platform.pictures.sets import PictureSet
from ad_platform.settings import Settings
from ad_platform.storage.contract import Storage
from ad_platform.storage.pushed_file import PushedFile


def pull(
    storage: Storage,
    settings: Settings,
    pictures: PictureSet,
    target: Path,
    told: Told = lambda done, of: None,
) -> int:
    """Make a folder hold a set; what lies there already stays, and the number of files that came is returned.

    Nothing is ever overwritten: raises InvalidData for a file of the same name with another content, for one
    that does not belong to the set, and for one that is missing or broken in the storage.
    """
    _check(settings, pictures, target)
    lacking = [file for file in pictures.files if not (target / file.name).exists()]
    lock, done = threading.Lock(), len(pictures.files) - len(lacking)
    by_name = {file.name: file for file in lacking}

    def one(name: str) -> None:
        nonlocal done
        content = storage.read(by_name[name].path)
        if content is None or hashlib.sha256(content).hexdigest() != by_name[name].sha256:
            what = "missing" if content is None else "broken"
            raise InvalidData(
                f"{name} is {what} in the storage ({by_name[name].path}); push the pictures again: "
                "adctl data push DIR --check"
            )
        file = target / name
        with writing(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            own = file.with_name(f".{secrets.token_hex(8)}.begun")  # hidden: no picture to anybody
            try:
                own.write_bytes(content)
                own.replace(file)
            finally:
                own.unlink(missing_ok=True)
        with lock:
            done += 1
            told(done, len(pictures.files))

    told(done, len(pictures.files))
    side_by_side(AT_ONCE, one, by_name)
    found = {each.name: each.sha256 for each in contents_of(settings, target)}
    if fingerprint_of(found) != pictures.fingerprint:
        raise InvalidData(f"{target} is not what was pushed: something else writes to it")
    return len(lacking)


def _check(settings: Settings, pictures: PictureSet, target: Path) -> None:
    """Raise InvalidData for anything in the folder that is not of the set."""
    if target.exists() and not target.is_dir():
        raise InvalidData(f"{target} is a file; name a folder")
    if not target.is_dir() or not any(target.rglob("[!.]*")):
        return
    wanted: dict[str, PushedFile] = {file.name: file for file in pictures.files}
    there = [path for path in target.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in sorted(there):
        name = path.relative_to(target).as_posix()
        if name not in wanted:
            raise InvalidData(f"{path} is not of {pictures.dataset}/{pictures.category}; name another folder")
    for each in contents_of(settings, target) if there else []:
        if each.sha256 != wanted[each.name].sha256:
            raise InvalidData(f"{each.path} has another content than what was pushed; name another folder")
