"""What the storage promises: whole bundles or nothing, whatever dies in between.

Layout under ADCTL_STORAGE_URL (a folder or an fsspec URL):

    jobs/<job>/checkpoints/<step, 9 digits>-a<attempt>/  resumable state: state.safetensors, state.json
    jobs/<job>/metrics/<first>-<last>-a<attempt>.jsonl   metric segments, committed by a checkpoint
    jobs/<job>/model/a<attempt>/                         a fitted detector: its state and config.json
    jobs/<job>/results/a<attempt>/                       an evaluation: results.csv, scores.csv, pictures
    jobs/<job>/parts/<first, 9 digits>-<count>/          scores of a prediction's shard: scores.jsonl
    jobs/<job>/drawn/<first, 9 digits>-<count>/          heat maps, masks and maps of the same pictures
    jobs/<job>/logs/a<attempt>/<chunk, 6 digits>.txt     what the attempt printed, in order
    jobs/<job>/curve.json                                the segments of its curve, once its checkpoints went
    stages/<key>/                                        a content-addressed part of a fit
    benchmarks/<benchmark>/v<version>/                   the tables of a benchmark
    trash/<entry>/                                       what a collection took: files/<path>, entry.json last
    listings/<sha256>.jsonl                              the pictures that a prediction scores, in order
    data/sets/<fingerprint>.json                         the pushed pictures of a category: name, hash, size
    data/blobs/<first 2>/<sha256>                        a pushed picture, once however many sets have it

The files of a bundle lie in a sub-folder of a fresh name, which `manifest.json` directly below the prefix
names: so a bundle is replaced by one atomic write. A manifest ends with the SHA-256 of the rest of it.
`<first>` and `<last>` have 9 digits too.

A segment line is {"step": int, "time": seconds since the epoch, "metrics": {name: float}}. A checkpoint's
manifest carries in `meta`: step, of, done (stages), threads, and segments: [{"path", "sha256", "first",
"last"}, ...], the job's whole series so far, so that the curve of a job is exactly what its newest checkpoint
names.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.specs import Json
from ad_platform.storage.blobs import StoredFile


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The list of a bundle's files; writing it last is what makes the bundle exist."""

    prefix: str
    files: Mapping[str, str]  # name -> SHA-256, hex
    sizes: Mapping[str, int]  # name -> bytes
    meta: Mapping[str, Json] = field(default_factory=dict)
    sha256: str = ""  # of the manifest's own bytes

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(self.sizes.values())


def unguarded() -> None:
    """Let a bundle come to be whatever happened meanwhile."""


class Storage(ABC):
    """Bundles, small blobs and log chunks. Raises StorageDown, DiskFull, CorruptBundle."""

    @abstractmethod
    def publish(
        self,
        prefix: str,
        folder: Path,
        meta: Mapping[str, Json] | None = None,
        guard: Callable[[], None] = unguarded,
    ) -> Manifest:
        """Copy every file of a local folder below `prefix`, then write the manifest.

        Files are written, synced and renamed into place; the manifest with their SHA-256 comes last. Called
        again after an interruption it starts over. A bundle that exists already (same prefix) is replaced
        only as a whole: readers see the old one or the new one. Raises DiskFull; a bundle that was there
        before then stays, and a new one has no manifest. Raises InvalidValue for a prefix that leads out of
        the storage. `guard` is called just before the manifest is written; what it raises leaves all as it
        was.
        """

    @abstractmethod
    def manifest(self, prefix: str) -> Manifest | None:
        """Return the manifest of a bundle, or None if the bundle does not exist (yet)."""

    @abstractmethod
    def fetch(self, prefix: str, folder: Path, only: Collection[str] | None = None) -> Manifest:
        """Copy a bundle into a local folder and verify every file; raise CorruptBundle naming the file.

        `only` names the files that are wanted, where that is not all; one that the bundle lacks is left out.
        Raises CorruptBundle too when there is no manifest.
        """

    @abstractmethod
    def file(self, prefix: str, name: str) -> bytes | None:
        """Return one file of a bundle, verified; None where the bundle has no file of that name.

        Raises CorruptBundle naming the file, and where there is no manifest.
        """

    @abstractmethod
    def bundles(self, prefix: str) -> list[str]:
        """Return the prefixes of the complete bundles directly below `prefix`, sorted."""

    @abstractmethod
    def remains(self, prefix: str) -> list[str]:
        """Return the prefixes directly below `prefix` that hold no manifest: unfinished, or being written."""

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes directly below `prefix`, whatever they hold, sorted."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> str:
        """Write one blob atomically and return its SHA-256, hex."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return a blob, or None if there is none."""

    @abstractmethod
    def names(self, prefix: str) -> list[str]:
        """Return the paths of the blobs directly below `prefix`, sorted."""

    @abstractmethod
    def remove(self, prefix: str) -> None:
        """Remove everything below `prefix`, its manifest first; nothing there is no error."""

    @abstractmethod
    def survey(self, prefix: str = "") -> list[StoredFile]:
        """Return every file below `prefix`, at any depth, by path: unfinished ones too."""

    @abstractmethod
    def copy(self, path: str, to: str) -> None:
        """Put a file at another path too, whole or not at all; raise FileNotFoundError."""

    @abstractmethod
    def delete(self, paths: Sequence[str]) -> None:
        """Remove files in this order, each for good; those that are not there are no error."""

    @abstractmethod
    def prune(self, prefix: str) -> None:
        """Remove what folders are left empty below `prefix`; files stay where they are."""
