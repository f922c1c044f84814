"""Files of this machine that nothing reads any more: copies, all of which can be made or fetched again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ad_platform.pictures.fetched import FetchedSets
from ad_platform.retention.facts import Facts, Rules
from ad_platform.settings import Settings
from ad_platform.states import JobState

_MARK = re.compile(r"([0-9a-f]+)-a(\d+)")  # of an attempt
_UNFINISHED = (".begun-", ".tmp")  # how what somebody is making begins, or ends
_FETCHED = "fetched"  # the one of pictures from the storage
_BUNDLES = ("models", "results")  # folders of the cache that hold copies of bundles


@dataclass(frozen=True, kw_only=True)
class Loose:
    """A file or folder below ADCTL_HOME that would be removed."""

    path: Path
    kind: str  # scratch, log, pictures, bundle
    size: int  # bytes
    because: str


def unused(settings: Settings, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield what nothing reads any more; the times are those of this machine's files."""
    home = settings.home
    yield from _scratch(home / "scratch", facts, rules)
    yield from _logs(home / "logs" / "jobs", facts, rules)
    yield from _pictures(home / "cache", facts, rules)
    yield from _fetched(home / "cache" / _FETCHED, facts, rules)
    for name in _BUNDLES:
        yield from _bundles(home / "cache" / name, facts, rules)


def remove(found: Iterable[Loose]) -> None:
    """Remove them; what cannot be removed stays."""
    for each in found:
        if each.path.parent.name == _FETCHED:
            FetchedSets(each.path.parent, 0).evict(each.path.name)  # unless a job has begun to use it
        elif each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path, ignore_errors=True)
        else:
            with suppress(OSError):
                each.path.unlink(missing_ok=True)


def _scratch(folder: Path, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield the folders of attempts that are over: their worker died before it could tidy up."""
    for path in _children(folder):
        match = _MARK.fullmatch(path.name)
        if match is None or _age(path, facts) < rules.grace:
            continue
        job = facts.jobs.get(match[1])
        if job is not None and job.state is JobState.RUNNING:
            continue
        yield _loose(path, "scratch", f"attempt {match[2]} of job {match[1]} is over")


def _logs(folder: Path, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield this machine's copies of the logs of jobs that ended long ago."""
    window = max(rules.resumable, rules.grace)
    for path in _children(folder):
        match = _MARK.fullmatch(path.stem)
        job = facts.jobs.get(match[1]) if match else None
        if job is None or not job.state.terminal or _age(path, facts) < window:
            continue
        if facts.now - (job.finished_at or facts.now) >= window:
            yield _loose(path, "log", f"job {job.id} ended long ago, and the storage has its log")


def _pictures(folder: Path, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield decoded pictures that no job has read for long."""
    for path in _children(folder):
        if path.suffix == ".npy" and _age(path, facts) >= max(rules.resumable, rules.grace):
            yield _loose(path, "pictures", "no job has read these decoded pictures for long")
        elif path.suffix in _UNFINISHED and _age(path, facts) >= max(rules.grace, 3600.0):
            yield _loose(path, "pictures", "whoever was decoding these pictures died")


def _fetched(folder: Path, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield pictures from the storage that no job has read for long."""
    for each in FetchedSets(folder, 0).kept():
        if facts.now - each.used >= max(rules.resumable, rules.grace):
            yield _loose(each.folder, "pictures", "no job has read these fetched pictures for long")


def _bundles(folder: Path, facts: Facts, rules: Rules) -> Iterator[Loose]:
    """Yield copies of models and results that nobody has used for long."""
    for path in _children(folder):
        begun = path.name.startswith(_UNFINISHED)
        if _age(path, facts) >= (max(rules.grace, 3600.0) if begun else max(rules.resumable, rules.grace)):
            yield _loose(path, "bundle", "nobody has used this copy for long")


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _age(path: Path, facts: Facts) -> float:
    try:
        return facts.now - path.stat().st_mtime
    except OSError:
        return 0.0


def _loose(path: Path, kind: str, because: str) -> Loose:
    return Loose(path=path, kind=kind, size=_size(path), because=because)


def _size(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total
