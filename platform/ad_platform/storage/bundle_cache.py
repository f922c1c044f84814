"""Bundles on this machine, fetched once and checked each time: by the hash of their manifest."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ad_platform.errors import CorruptBundle, DiskFull, Unavailable
from ad_platform.storage.contract import Storage

_FULL = (errno.ENOSPC, errno.EDQUOT)

FILES = "files.json"  # name -> SHA-256, beside the folder of the files themselves
INSIDE = "bundle"
KEPT = 8  # bundles that stay however long nobody asks for them
UNUSED = 7 * 86400.0  # seconds after which the others go


class BundleCache:
    """Copies of bundles below a folder; several processes may use it at once."""

    def __init__(self, storage: Storage, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._storage, self._folder, self._clock = storage, folder, clock

    def fetch(self, prefix: str, sha256: str | None) -> Path:
        """Return a folder with the files of a bundle, whole, from the storage unless it lies here.

        The folder is not to be written to. `sha256` is that of the manifest; without one nothing is kept from
        before. Raises CorruptBundle if the storage holds another bundle or a broken one, StorageDown,
        DiskFull, and Unavailable for a folder that cannot be written.
        """
        if sha256 is not None and self._whole(self._folder / sha256):
            return self._touched(self._folder / sha256)
        with _writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            begun = Path(tempfile.mkdtemp(prefix=".begun-", dir=self._folder))
        try:
            return self._touched(self._copied(prefix, sha256, begun))
        finally:
            shutil.rmtree(begun, ignore_errors=True)
            self._clear()

    def _copied(self, prefix: str, sha256: str | None, begun: Path) -> Path:
        manifest = self._storage.fetch(prefix, begun / INSIDE)
        if sha256 not in (None, manifest.sha256):
            raise CorruptBundle(f"{prefix} in the storage is not what its job reported; run the job again")
        with _writing(begun):
            (begun / FILES).write_text(json.dumps(dict(manifest.files), indent=1, sort_keys=True))
        final = self._folder / manifest.sha256
        # Somebody else may have brought the same here meanwhile, or what lies here may be damaged.
        if not self._whole(final):
            shutil.rmtree(final, ignore_errors=True)
            with suppress(OSError):
                begun.rename(final)
        if not self._whole(final):
            raise CorruptBundle(f"{final} cannot be replaced; remove it and try again")
        return final

    def _touched(self, entry: Path) -> Path:
        with suppress(OSError):
            os.utime(entry, (self._clock(), self._clock()))
        return entry / INSIDE

    def _whole(self, entry: Path) -> bool:
        """Say whether every file of a copy is what it was: disks forget."""
        try:
            files: Mapping[str, str] = json.loads((entry / FILES).read_text())
            return all(_sha256(entry / INSIDE / name) == known for name, known in files.items())
        except (OSError, ValueError, AttributeError):
            return False

    def _clear(self) -> None:
        """Remove what nobody used for long, and what was begun and never finished."""
        found = [(self._age(child), child) for child in self._folder.iterdir()]
        old = sorted(pair for pair in found if not pair[1].name.startswith("."))[KEPT:]
        left = [pair for pair in found if pair[1].name.startswith(".")]
        for age, child in [*old, *left]:
            if age > UNUSED:
                shutil.rmtree(child, ignore_errors=True)

    def _age(self, path: Path) -> float:
        try:
            return self._clock() - path.stat().st_mtime
        except OSError:
            return 0.0


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in _FULL else Unavailable
        advice = "make room" if kind is DiskFull else "check the rights on ADCTL_HOME"
        raise kind(f"cannot write {folder}: {(error.strerror or str(error)).lower()}; {advice}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
