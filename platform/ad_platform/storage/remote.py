"""Blobs in an object store or any other fsspec filesystem, where a single upload is atomic."""

import contextlib
import hashlib
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from ad_platform.addresses import shown
from ad_platform.errors import InvalidValue, MissingExtra, StorageDown
from ad_platform.failpoints import Edge, reach
from ad_platform.specs import Json
from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.folder import copying_out, refused

_CHUNK = 1 << 20
# Errors of the S3 client that are no OSError; looked up by name since the client is an optional part.
_FOREIGN = (("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError"))
_QUICK = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}


class RemoteBlobs:
    """The blobs below a prefix of an fsspec filesystem."""

    def __init__(self, url: str, options: Mapping[str, Json]) -> None:
        protocol = url.split("://", 1)[0]
        settings: dict[str, Any] = dict(options)
        if protocol in ("s3", "s3a"):
            settings.setdefault("config_kwargs", _QUICK)
        try:
            # Listings must be fresh: what another worker wrote a moment ago counts.
            self._fs, root = fsspec.core.url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=True, **settings
            )
        except ImportError as error:
            raise MissingExtra(f"the storage {protocol}://", "s3") from error
        except ValueError as error:
            raise InvalidValue(f"ADCTL_STORAGE_URL '{shown(url)}' is no fsspec address: {error}") from error
        self._root = root.rstrip("/")
        self._url = shown(url).rstrip("/")  # for what is said of it
        self._errors: tuple[type[Exception], ...] = (OSError, *_foreign_errors())

    def put(self, path: str, content: bytes) -> None:
        """Upload a file; it appears whole when the upload ends."""
        with self._changing(path, len(content)):
            reach(Edge.UPLOAD)
            self._fs.pipe_file(self._at(path), content)
            reach(Edge.UPLOADED)

    def put_file(self, path: str, source: Path) -> str:
        """Upload a local file, in parts when it is large, and return its SHA-256."""
        digest = hash_file(source)
        with self._changing(path, source.stat().st_size):
            reach(Edge.UPLOAD)
            self._fs.put_file(str(source), self._at(path))
            reach(Edge.UPLOADED)
        return digest

    def get(self, path: str) -> bytes:
        """Return a file's content; raise FileNotFoundError."""
        with self._reading(path):
            return bytes(self._fs.cat_file(self._at(path)))

    def get_file(self, path: str, target: Path) -> str:
        """Download a file and return its SHA-256; raise FileNotFoundError."""
        with copying_out(target):
            target.touch()
        with self._reading(path):
            self._fs.get_file(self._at(path), str(target))
        return hash_file(target)

    def files(self, prefix: str) -> list[str]:
        """Return the files directly below a prefix."""
        return [path for path, folder in self._list(prefix) if not folder]

    def folders(self, prefix: str) -> list[str]:
        """Return the folders directly below a prefix."""
        return [path for path, folder in self._list(prefix) if folder]

    def tree(self, prefix: str) -> list[str]:
        """Return all files below a prefix."""
        with self._reading(prefix):
            try:
                return sorted(self._relative(name) for name in self._fs.find(self._at(prefix)))
            except FileNotFoundError:
                return []

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files; those that are not there are no error."""
        for path in paths:
            with self._changing(path, 0), contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._at(path))

    def clear(self, prefix: str) -> None:
        """Remove everything below a prefix."""
        with self._changing(prefix, 0), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._at(prefix), recursive=True)

    def survey(self, prefix: str) -> list[StoredFile]:
        """Return every file below a prefix."""
        with self._reading(prefix):
            try:
                found = self._fs.find(self._at(prefix), detail=True)
            except FileNotFoundError:
                return []
        files = [
            StoredFile(path=self._relative(name), size=int(about.get("size") or 0), modified=_modified(about))
            for name, about in found.items()
        ]
        return sorted(files, key=lambda file: file.path)

    def copy(self, path: str, to: str) -> None:
        """Have the store copy a file; it appears whole when that ends."""
        try:
            with self._changing(to, 0):
                self._fs.cp_file(self._at(path), self._at(to))
        except StorageDown:
            with self._reading(path):
                self._fs.info(self._at(path))  # raises FileNotFoundError where that was it
            raise

    def prune(self, prefix: str) -> None:
        """Do nothing: a folder is there as long as files are."""

    def modified(self, path: str) -> float | None:
        """Return when a file was written by the clock of the storage; None where it does not say."""
        with self._reading(path):
            try:
                return float(self._fs.modified(self._at(path)).timestamp())
            except NotImplementedError:
                return None

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _relative(self, name: str) -> str:
        root = self._root.lstrip("/")
        return name.lstrip("/").removeprefix(f"{root}/" if root else "")

    def _list(self, prefix: str) -> list[tuple[str, bool]]:
        with self._reading(prefix):
            try:
                entries = self._fs.ls(self._at(prefix), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
        named = [
            (self._relative(entry["name"].rstrip("/")), entry["type"] == "directory") for entry in entries
        ]
        return sorted((path, folder) for path, folder in named if path != prefix)

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except IsADirectoryError as error:
            raise FileNotFoundError(path) from error
        except self._errors as error:
            raise StorageDown(f"cannot read {self._url}/{path}: {_why(error)}") from error

    @contextlib.contextmanager
    def _changing(self, path: str, size: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refused(error, f"{self._url}/{path}", size) from error
        except self._errors as error:
            raise StorageDown(f"cannot write {self._url}/{path}: {_why(error)}") from error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a local file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _modified(about: Mapping[str, Any]) -> float:
    """Return when a file was written, by whichever of the names that filesystems have for it."""
    for name in ("LastModified", "mtime", "created", "updated", "last_modified"):
        value = about.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return math.inf


def _foreign_errors() -> list[type[Exception]]:
    found = []
    for module, name in _FOREIGN:
        with contextlib.suppress(ImportError):
            found.append(getattr(importlib.import_module(module), name))
    return found


def _why(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
