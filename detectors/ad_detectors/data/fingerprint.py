"""What exactly a category holds, as one number; standard library only, since the light client uses it too."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ad_detectors.data.layout import is_image
from ad_detectors.errors import DataError

# A file changed so recently may change again without its time showing it, so its hash is not kept.
SETTLED_NS = 2_000_000_000

Known: TypeAlias = dict[str, tuple[int, int, str]]  # relative path -> size, mtime_ns, SHA-256


@dataclass(frozen=True)
class _File:
    name: str  # relative, forward slashes, NFC: the same on every system
    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Content:
    """A picture or mask of a category, and what it holds."""

    name: str  # relative, forward slashes, NFC
    path: str  # of the file here
    size: int  # bytes
    sha256: str


def fingerprint(category_path: Path | str, cache_file: Path | None = None) -> str:
    """Return the SHA-256 over the sorted relative paths and contents of a category's pictures and masks.

    With a cache file, contents are read again only where size or time have changed. Several processes may
    share it: it is replaced whole, and an update lost in a race costs only time.
    """
    return fingerprint_of({each.name: each.sha256 for each in contents(category_path, cache_file)})


def fingerprint_of(digests: Mapping[str, str]) -> str:
    """Return the fingerprint of files by their names and the SHA-256 of each, hex."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name}\0{digests[name]}\n".encode())
    return whole.hexdigest()


def contents(category_path: Path | str, cache_file: Path | None = None) -> list[Content]:
    """Return the pictures and masks of a category by name, with what each holds; see `fingerprint`.

    Raises DataError for a folder without any, one that cannot be read, and two files of one name.
    """
    folder = os.path.abspath(os.path.expanduser(category_path))  # noqa: PTH100, PTH111 - keep links
    files = sorted(_walk(folder, "", frozenset()), key=lambda file: file.name)
    if not files:
        raise DataError(f"{folder} holds no pictures to fingerprint; give the folder of a category")
    known = _read_cache(cache_file).get(folder, {}) if cache_file else {}
    fresh: Known = {}
    found: list[Content] = []
    for file in files:
        if file.name in fresh:  # two ways of writing the same accents
            raise DataError(f"two files of {folder} are called {file.name}; rename one of them")
        size, mtime_ns, digest = known.get(file.name, (-1, -1, ""))
        if (size, mtime_ns) != (file.size, file.mtime_ns):
            digest = _hash(file.path)
        fresh[file.name] = (file.size, file.mtime_ns, digest)
        found.append(Content(file.name, file.path, file.size, digest))
    if cache_file is not None and fresh != known:
        _write_cache(cache_file, folder, fresh)
    return found


def _walk(folder: str, prefix: str, above: frozenset[str]) -> Iterator[_File]:
    real = os.path.realpath(folder)
    if real in above:
        raise DataError(f"{folder} links back to a folder above it; remove the link")
    try:
        entries = list(os.scandir(folder))
        for entry in entries:
            name = prefix + unicodedata.normalize("NFC", entry.name)
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, name + "/", above | {real})
            elif is_image(entry.name):
                status = entry.stat()
                if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                    raise DataError(f"{entry.path} is a pipe or a device, not a file; remove it")
                yield _File(name, entry.path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error


def _hash(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - millions of these: no Path for each
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _read_cache(cache_file: Path) -> dict[str, Known]:
    """Return what an earlier call kept; anything unreadable counts as nothing."""
    try:
        value = json.loads(cache_file.read_text())
        return {
            folder: {name: (int(s), int(m), str(d)) for name, (s, m, d) in files.items()}
            for folder, files in value.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(cache_file: Path, folder: str, fresh: Known) -> None:
    """Keep hashes for the next call; a cache that cannot be written is no reason to fail."""
    settled = time.time_ns() - SETTLED_NS
    value = {**_read_cache(cache_file), folder: {n: v for n, v in fresh.items() if v[1] < settled}}
    temporary = None
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_file.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            json.dump(value, file)
        temporary.replace(cache_file)
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
