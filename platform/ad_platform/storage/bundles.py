"""Bundles over blobs: files under a folder of their own, and a manifest, written last, that names it."""

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ad_platform.errors import CorruptBundle, DiskFull, InvalidValue
from ad_platform.failpoints import Edge, reach
from ad_platform.specs import Json
from ad_platform.storage.blobs import Blobs, StoredFile
from ad_platform.storage.contract import Manifest, Storage, unguarded
from ad_platform.storage.layout import confined

MANIFEST = "manifest.json"
_FORMAT = 2
_UNSEALED = 1  # manifests of this format carry no hash of their own
_SEAL = "sha256"


class BundleStorage(Storage):
    """A storage made of blobs, wherever these lie.

    Every publication writes below a folder of a name nobody used before. So replacing a bundle is one
    atomic write, that of its manifest, and two publishers of one prefix never mix their files.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def publish(
        self,
        prefix: str,
        folder: Path,
        meta: Mapping[str, Json] | None = None,
        guard: Callable[[], None] = unguarded,
    ) -> Manifest:
        """Copy a folder in, manifest last; see the contract."""
        confined(prefix)
        if not folder.is_dir():
            raise InvalidValue(f"there is no folder {folder} to publish as {prefix}")
        place = f"{prefix}/v-{secrets.token_hex(6)}"
        before = self._place(prefix)
        try:
            files, sizes = self._copy_in(folder, place)
            content = _encode(place.rsplit("/", 1)[1], files, sizes, meta or {})
            reach(Edge.MANIFEST)
            guard()
            self._blobs.put(f"{prefix}/{MANIFEST}", content)
            reach(Edge.LISTED)
        except DiskFull:
            self._blobs.clear(place)  # what was copied so far only keeps others from writing
            raise
        if before is not None:
            self._blobs.clear(before)
        return _decode(prefix, content)[0]

    def manifest(self, prefix: str) -> Manifest | None:
        """Return the manifest of a bundle, or None."""
        found = self._entry(prefix)
        return found[0] if found else None

    def fetch(self, prefix: str, folder: Path, only: Collection[str] | None = None) -> Manifest:
        """Copy a bundle, or some files of it, out and verify each."""
        found = self._entry(prefix)
        while found:
            manifest, place = found
            try:
                self._copy_out(manifest, place, folder, only)
            except FileNotFoundError as error:
                found = self._entry(prefix)
                # A bundle that was replaced while being read is simply read again.
                if found and found[0].sha256 != manifest.sha256:
                    continue
                name = str(error.args[0])
                raise CorruptBundle(f"{prefix} is broken: {name} is missing") from None
            return manifest
        raise CorruptBundle(f"{prefix} has no {MANIFEST}: it was never finished, or was removed")

    def file(self, prefix: str, name: str) -> bytes | None:
        """Return one verified file of a bundle, or None."""
        found = self._entry(prefix)
        while found:
            manifest, place = found
            if name not in manifest.files:
                return None
            content = self.read(f"{place}/{name}")
            if content is not None and hashlib.sha256(content).hexdigest() == manifest.files[name]:
                return content
            found = self._entry(prefix)
            if found and found[0].sha256 == manifest.sha256:  # else it was replaced while being read
                what = "is missing" if content is None else "has changed"
                raise CorruptBundle(f"{prefix} is broken: {name} {what}")
        raise CorruptBundle(f"{prefix} has no {MANIFEST}: it was never finished, or was removed")

    def bundles(self, prefix: str) -> list[str]:
        """Return the complete bundles directly below a prefix."""
        return [below for below in self._below(prefix) if self._blobs_has(f"{below}/{MANIFEST}")]

    def remains(self, prefix: str) -> list[str]:
        """Return what lies directly below a prefix without a manifest."""
        return [below for below in self._below(prefix) if not self._blobs_has(f"{below}/{MANIFEST}")]

    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes directly below `prefix`."""
        return self._below(prefix)

    def write(self, path: str, content: bytes) -> str:
        """Write one blob atomically and return its SHA-256."""
        self._blobs.put(confined(path), content)
        return hashlib.sha256(content).hexdigest()

    def read(self, path: str) -> bytes | None:
        """Return a blob, or None."""
        try:
            return self._blobs.get(confined(path))
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the blobs directly below a prefix."""
        return self._blobs.files(confined(prefix))

    def remove(self, prefix: str) -> None:
        """Remove everything below a prefix, manifests first."""
        confined(prefix)
        manifests = [path for path in self._blobs.tree(prefix) if path.rsplit("/", 1)[-1] == MANIFEST]
        reach(Edge.REMOVE)
        self._blobs.delete(manifests)
        reach(Edge.UNLISTED)
        self._blobs.clear(prefix)

    def survey(self, prefix: str = "") -> list[StoredFile]:
        """Return every file below a prefix."""
        return self._blobs.survey(confined(prefix) if prefix else "")

    def copy(self, path: str, to: str) -> None:
        """Put a file at another path too."""
        self._blobs.copy(confined(path), confined(to))

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files, in this order."""
        self._blobs.delete([confined(path) for path in paths])

    def prune(self, prefix: str) -> None:
        """Remove the empty folders below a prefix."""
        self._blobs.prune(confined(prefix))

    def _copy_in(self, folder: Path, place: str) -> tuple[dict[str, str], dict[str, int]]:
        files: dict[str, str] = {}
        sizes: dict[str, int] = {}
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = source.relative_to(folder).as_posix()
            files[name] = self._blobs.put_file(confined(f"{place}/{name}"), source)
            sizes[name] = source.stat().st_size
        return files, sizes

    def _copy_out(self, manifest: Manifest, place: str, folder: Path, only: Collection[str] | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, expected in manifest.files.items():
            if only is not None and name not in only:
                continue
            try:
                found = self._blobs.get_file(f"{place}/{name}", folder / confined(name))
            except FileNotFoundError as error:
                raise FileNotFoundError(name) from error
            if found != expected:
                size = (folder / name).stat().st_size
                raise CorruptBundle(
                    f"{manifest.prefix} is broken: {name} has changed "
                    f"({size} bytes, {manifest.sizes[name]} expected)",
                )

    def _entry(self, prefix: str) -> tuple[Manifest, str] | None:
        content = self.read(f"{confined(prefix)}/{MANIFEST}")
        return None if content is None else _decode(prefix, content)

    def _place(self, prefix: str) -> str | None:
        try:
            found = self._entry(prefix)
        except CorruptBundle:
            return None  # an unreadable manifest is about to be replaced
        return found[1] if found else None

    def _below(self, prefix: str) -> list[str]:
        return self._blobs.folders(confined(prefix))

    def _blobs_has(self, path: str) -> bool:
        try:
            self._blobs.get(path)
        except FileNotFoundError:
            return False
        return True


def _encode(
    place: str, files: Mapping[str, str], sizes: Mapping[str, int], meta: Mapping[str, Json]
) -> bytes:
    listed: dict[str, Json] = {name: {"sha256": files[name], "size": sizes[name]} for name in files}
    return _sealed({"format": _FORMAT, "folder": place, "files": listed, "meta": dict(meta)})


def _sealed(value: Mapping[str, Json]) -> bytes:
    """Return a manifest's bytes: what it says, and the SHA-256 of that."""
    seal = hashlib.sha256(_text(value)).hexdigest()
    return _text({**value, _SEAL: seal})


def _text(value: Mapping[str, Json]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _check_seal(value: Mapping[str, Json], content: bytes) -> None:
    """Raise ValueError unless a manifest is to the last bit what was written."""
    if value["format"] == _UNSEALED:
        return
    if value["format"] != _FORMAT:
        raise ValueError(f"format {value['format']!r} is not known to this version of adctl")
    if _sealed({name: each for name, each in value.items() if name != _SEAL}) != content:
        raise ValueError("it has changed since it was written")


def _decode(prefix: str, content: bytes) -> tuple[Manifest, str]:
    try:
        value = json.loads(content)
        _check_seal(value, content)
        listed = {confined(name): entry for name, entry in value["files"].items()}
        manifest = Manifest(
            prefix=prefix,
            files={name: str(entry["sha256"]) for name, entry in listed.items()},
            sizes={name: int(entry["size"]) for name, entry in listed.items()},
            meta=value["meta"],
            sha256=hashlib.sha256(content).hexdigest(),
        )
        return manifest, f"{prefix}/{confined(value['folder'])}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidValue) as error:
        raise CorruptBundle(f"{prefix} is broken: its {MANIFEST} cannot be read ({error})") from error
