"""Makes a category's folder whole or not at all, and never touches what is there already."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ad_detectors.data.decoding import not_black
from ad_detectors.data.layout import is_image
from ad_detectors.data.opening import decoded
from ad_detectors.data.prepare.plan import Item, Plan
from ad_detectors.errors import DataError, NoRoom

FULL = (errno.ENOSPC, errno.EDQUOT)
LEFT_OVER = 24 * 3600.0  # seconds after which an unfinished folder belongs to nobody


@dataclass(frozen=True)
class Prepared:
    """A category that is there now."""

    category: str
    path: Path
    pictures: int
    masks: int
    new: bool  # False if it was there before


def write(plan: Plan, out: Path, *, link: bool = False) -> Prepared:
    """Make the category's folder; called again it changes nothing.

    Raises NoRoom if the disk is full, else DataError; what was begun is then removed.
    """
    target = out / plan.category
    if _taken(target):
        return _there(plan, target)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _sweep(out, plan.category)
        _room(plan, out, link)
        temporary = Path(tempfile.mkdtemp(prefix=f".{plan.category}.", suffix=".tmp", dir=out))
        try:
            for item in plan.items:
                _bring(item, temporary / item.name, link)
            temporary.chmod(0o777 & ~_umask())
            return _rename(plan, temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        if error.errno in FULL:
            raise NoRoom(
                f"no room left for {target}: free some and repeat; nothing of it was kept"
            ) from error
        raise DataError(f"cannot make {target}: {error}") from error


def _bring(item: Item, target: Path, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.mask:
        _draw(item, target)
    elif link:
        try:
            os.link(item.source.resolve(), target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise DataError(f"cannot link {item.source}: it is on another disk; leave out --link") from error
    else:
        shutil.copyfile(item.source, target)


def _draw(item: Item, target: Path) -> None:
    with decoded(item.source) as image:
        marked = np.asarray(image) != 0 if item.coded and image.mode == "P" else not_black(image)
    Image.fromarray(marked.astype(np.uint8) * 255).save(target, "PNG")


def _rename(plan: Plan, temporary: Path, target: Path) -> Prepared:
    try:
        temporary.rename(target)
    except OSError:
        if not _taken(target):
            raise
        return _there(plan, target)  # somebody else was faster
    return _prepared(plan, target, new=True)


def _there(plan: Plan, target: Path) -> Prepared:
    """Accept a folder that holds what would be made; refuse any other."""
    found = {
        (Path(above) / name).relative_to(target).as_posix()
        for above, _, names in os.walk(target)
        for name in names
        if is_image(name)
    }
    same = found == {item.name for item in plan.items} and all(
        item.mask or (target / item.name).stat().st_size == item.source.stat().st_size for item in plan.items
    )
    if not same:
        raise DataError(f"{target} holds something else; remove it, or choose another folder")
    return _prepared(plan, target, new=False)


def _prepared(plan: Plan, target: Path, *, new: bool) -> Prepared:
    masks = sum(item.mask for item in plan.items)
    return Prepared(plan.category, target, len(plan.items) - masks, masks, new)


def _taken(target: Path) -> bool:
    """Say whether something is there; an empty folder is nothing."""
    if target.is_dir() and not target.is_symlink():
        return any(target.iterdir())
    return target.exists() or target.is_symlink()


def _room(plan: Plan, out: Path, link: bool) -> None:
    need = sum(item.source.stat().st_size for item in plan.items if item.mask or not link)
    free = shutil.disk_usage(out).free
    if need > free:
        raise NoRoom(
            f"{plan.category} needs {need / 1e6:.0f} MB in {out}, where {free / 1e6:.0f} MB are free"
        )


def _sweep(out: Path, category: str) -> None:
    """Remove what a killed call left behind long ago."""
    for path in out.glob(f".{category}.*.tmp"):
        if time.time() - path.stat().st_mtime > LEFT_OVER:
            shutil.rmtree(path, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
