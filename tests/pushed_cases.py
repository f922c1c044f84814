"""Pictures to push, who pushes and who fetches them, and a storage that counts what is asked of it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ad_platform import datasets
from ad_platform import settings as environment
from ad_platform.pictures.fetched import FetchedSets
from ad_platform.pictures.fetching import Fetcher
from ad_platform.pictures.pushing import Pusher
from ad_platform.specs import DatasetRef
from ad_platform.storage.blobs import Blobs
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.folder import FolderBlobs
from job_stories import Stories


class CountingStorage(BundleStorage):
    """A storage in a folder that counts its reads and writes by path."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(blobs)
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()

    def read(self, path: str) -> bytes | None:
        self.reads[path] += 1
        return super().read(path)

    def write(self, path: str, content: bytes) -> str:
        self.writes[path] += 1
        return super().write(path, content)

    @property
    def blobs_read(self) -> int:
        return sum(count for path, count in self.reads.items() if path.startswith("data/blobs/"))

    @property
    def blobs_written(self) -> int:
        return sum(count for path, count in self.writes.items() if path.startswith("data/blobs/"))


class Pictures:
    """A home with a store and a storage, and categories to push from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stories = Stories(folder)
        self.store = self.stories.store
        self.storage = CountingStorage(FolderBlobs(folder / "storage"))
        given = {"ADCTL_HOME": str(folder), "ADCTL_NODE": "n1", "ADCTL_USER": "kim"}
        self.settings = environment.load(given)

    def make(self, category: str = "screw", files: Mapping[str, bytes] | None = None) -> DatasetRef:
        """Make a category of files that are pictures by name."""
        folder = self.folder / "data" / "parts" / category
        usual = {f"train/good/{n}.png": f"{category} {n}".encode() * 50 for n in range(4)}
        for name, content in (usual if files is None else files).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return self.ref(folder)

    def ref(self, folder: Path) -> DatasetRef:
        return datasets.open_folder(self.settings, folder).ref

    def pusher(self, **more: object) -> Pusher:
        return Pusher(self.store, self.storage, self.settings, pause=lambda seconds: None, **more)  # type: ignore[arg-type]

    def sets(self, limit: int = 10**6) -> FetchedSets:
        return FetchedSets(self.folder / "fetched", limit)

    def fetcher(self, limit: int = 10**6, **more: object) -> Fetcher:
        return Fetcher(self.sets(limit), self.storage, **more)  # type: ignore[arg-type]

    def mark(self, folder: Path) -> str:
        """Return the fingerprint of what lies in a folder."""
        found = datasets.contents_of(self.settings, folder)
        return datasets.fingerprint_of({each.name: each.sha256 for each in found})

    def close(self) -> None:
        self.store.close()
