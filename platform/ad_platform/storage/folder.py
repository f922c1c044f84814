"""Blobs in a local folder: written to a temporary name, synced, renamed, and the folder synced."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ad_platform.errors import CorruptBundle, DiskFull, StorageDown
from ad_platform.failpoints import Edge, reach
from ad_platform.storage.blobs import StoredFile

TEMPORARY = ".writing-"  # files that start so are unfinished and nobody's
_CHUNK = 1 << 20


class FolderBlobs:
    """The blobs of a folder on a local or mounted disk.

    A link in it that leads elsewhere is not followed, since whoever writes to the storage may have put it
    there: each method raises CorruptBundle for a path below one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = os.path.realpath(root)

    def put(self, path: str, content: bytes) -> None:
        """Write a file atomically and for good."""
        self._place(path, len(content), lambda file: _write_halves(file, content))

    def put_file(self, path: str, source: Path) -> str:
        """Copy a local file in and return its SHA-256."""
        digest = hashlib.sha256()

        def copy(file: IO[bytes]) -> None:
            with source.open("rb") as reader:
                while chunk := reader.read(_CHUNK):
                    digest.update(chunk)
                    _write_halves(file, chunk)

        self._place(path, source.stat().st_size, copy)
        return digest.hexdigest()

    def get(self, path: str) -> bytes:
        """Return a file's content; raise FileNotFoundError."""
        with self._reading(path):
            return self._at(path).read_bytes()

    def get_file(self, path: str, target: Path) -> str:
        """Copy a file out and return its SHA-256; raise FileNotFoundError."""
        digest = hashlib.sha256()
        with self._reading(path):
            reader = self._at(path).open("rb")
        with reader, copying_out(target), target.open("wb") as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                writer.write(chunk)
        return digest.hexdigest()

    def files(self, prefix: str) -> list[str]:
        """Return the finished files directly below a prefix."""
        return [path for path, folder in self._scan(prefix) if not folder]

    def folders(self, prefix: str) -> list[str]:
        """Return the folders directly below a prefix."""
        return [path for path, folder in self._scan(prefix) if folder]

    def tree(self, prefix: str) -> list[str]:
        """Return all finished files below a prefix."""
        found = self.files(prefix)
        for folder in self.folders(prefix):
            found += self.tree(folder)
        return sorted(found)

    def delete(self, paths: Sequence[str]) -> None:
        """Unlink files and sync their folders, so that a power cut does not bring them back."""
        for path in paths:
            target = self._entry(path)
            with self._changing(path, 0):
                target.unlink(missing_ok=True)
                if target.parent.is_dir():
                    _sync_folder(target.parent)

    def clear(self, prefix: str) -> None:
        """Remove a folder with everything in it, unfinished files too."""
        target = self._entry(prefix)
        with self._changing(prefix, 0), contextlib.suppress(FileNotFoundError):
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def survey(self, prefix: str) -> list[StoredFile]:
        """Return every file below a prefix, unfinished ones too."""
        found: list[StoredFile] = []
        open_ = [prefix]
        while open_:
            below = open_.pop()
            with self._reading(below):
                try:
                    entries = list(os.scandir(self._at(below)))
                except (FileNotFoundError, NotADirectoryError):
                    continue
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    open_.append(path)
                    continue
                with contextlib.suppress(FileNotFoundError), self._reading(path):  # gone since
                    about = entry.stat(follow_symlinks=False)
                    found.append(StoredFile(path=path, size=about.st_size, modified=about.st_mtime))
        return sorted(found, key=lambda file: file.path)

    def copy(self, path: str, to: str) -> None:
        """Give a file a second name, or its bytes where the disk knows no second names."""
        source, target = self._at(path), self._entry(to)
        temporary = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
        try:
            _make_folder(target.parent)
            os.link(source, temporary)
            temporary.replace(target)
            temporary.unlink(missing_ok=True)  # two names of one file: a rename leaves both
            _sync_folder(target.parent)
        except FileNotFoundError:
            raise
        except OSError:
            temporary.unlink(missing_ok=True)
            self.put_file(to, source)

    def prune(self, prefix: str) -> None:
        """Remove the empty folders below a prefix, and itself."""
        target = self._at(prefix)
        for folder, _, _ in os.walk(target, topdown=False):
            with contextlib.suppress(OSError):  # not empty, or gone
                Path(folder).rmdir()

    def _at(self, path: str) -> Path:
        """Return where a path is, links followed; raise CorruptBundle if that is outside."""
        self._check(path, self.root / path)
        return self.root / path

    def _entry(self, path: str) -> Path:
        """Return where a path is made or removed: it may itself be a link, which is then what goes."""
        self._check(path, (self.root / path).parent)
        return self.root / path

    def _check(self, path: str, place: Path) -> None:
        if self._leads_out(place):
            real = os.path.realpath(place)
            raise CorruptBundle(f"{self.root / path} is reached by a link that leads to {real}; remove it")

    def _leads_out(self, place: Path | str) -> bool:
        real = os.path.realpath(place)
        return real != self._real and not real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _place(self, path: str, size: int, fill: Callable[[IO[bytes]], None]) -> None:
        target = self._entry(path)
        temporary = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
        with self._changing(path, size):
            _make_folder(target.parent)
            try:
                with temporary.open("xb", buffering=0) as file:
                    reach(Edge.WRITING)
                    fill(file)
                    os.fsync(file.fileno())
                reach(Edge.WRITTEN)
                temporary.replace(target)
                reach(Edge.RENAMED)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    def _scan(self, prefix: str) -> list[tuple[str, bool]]:
        with self._reading(prefix):
            try:
                entries = [
                    (entry.name, entry.is_dir())
                    for entry in os.scandir(self._at(prefix))
                    if not (entry.is_symlink() and entry.is_dir() and self._leads_out(entry.path))
                ]
            except (FileNotFoundError, NotADirectoryError):
                return []
        below = f"{prefix}/" if prefix else ""
        return sorted((below + name, folder) for name, folder in entries if not name.startswith(TEMPORARY))

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (IsADirectoryError, NotADirectoryError) as error:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(self.root / path)) from error
        except OSError as error:
            raise StorageDown(f"cannot read {self.root / path}: {_why(error)}") from error

    @contextlib.contextmanager
    def _changing(self, path: str, size: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refused(error, str(self.root / path), size) from error


@contextlib.contextmanager
def copying_out(target: Path) -> Iterator[None]:
    """Tell a full local disk from a storage that does not answer while a file is copied out."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise refused(error, str(target), 0) from error


def refused(error: OSError, path: str, size: int) -> DiskFull | StorageDown:
    """Say why a file could not be written: no room, or a storage that cannot be reached."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        need = f" ({size:,} bytes)" if size else ""
        return DiskFull(f"no room left to write {path}{need}; free some space and try again")
    return StorageDown(f"cannot write {path}: {_why(error)}; check ADCTL_STORAGE_URL")


def _why(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


def _write_halves(file: IO[bytes], content: bytes) -> None:
    """Write a content in two parts, with an edge between."""
    view, middle = memoryview(content), len(content) // 2  # no part is copied for it
    _write_all(file, view[:middle])
    reach(Edge.HALF)
    _write_all(file, view[middle:])


def _write_all(file: IO[bytes], view: memoryview) -> None:
    # An unbuffered write may take only a part, and says so rather than raising.
    while view:
        view = view[file.write(view) :]


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:  # a folder is only safe once its parent has been synced
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
