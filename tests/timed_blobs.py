"""Files in a dictionary, as old as a clock says that tests move."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ad_platform.storage.blobs import StoredFile
from store_cases import FakeClock


class TimedBlobs:
    """Files in a dictionary; what is written has the time of a clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.kept: dict[str, tuple[bytes, float]] = {}

    def put(self, path: str, content: bytes) -> None:
        self.kept[path] = (content, self.clock.now)

    def put_file(self, path: str, source: Path) -> str:
        self.put(path, source.read_bytes())
        return hashlib.sha256(source.read_bytes()).hexdigest()

    def get(self, path: str) -> bytes:
        if path not in self.kept:
            raise FileNotFoundError(path)
        return self.kept[path][0]

    def get_file(self, path: str, target: Path) -> str:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.get(path))
        return hashlib.sha256(self.get(path)).hexdigest()

    def files(self, prefix: str) -> list[str]:
        return [path for path in self.tree(prefix) if "/" not in path[len(prefix) + 1 :]]

    def folders(self, prefix: str) -> list[str]:
        below = (path[len(prefix) + 1 :] for path in self.tree(prefix))
        return sorted({f"{prefix}/{path.split('/')[0]}" for path in below if "/" in path})

    def tree(self, prefix: str) -> list[str]:
        return sorted(path for path in self.kept if path.startswith(f"{prefix}/"))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.kept.pop(path, None)

    def clear(self, prefix: str) -> None:
        self.delete(self.tree(prefix))

    def survey(self, prefix: str) -> list[StoredFile]:
        found = self.tree(prefix) if prefix else sorted(self.kept)
        return [
            StoredFile(path=path, size=len(self.kept[path][0]), modified=self.kept[path][1]) for path in found
        ]

    def copy(self, path: str, to: str) -> None:
        if path not in self.kept:
            raise FileNotFoundError(path)
        self.kept[to] = self.kept[path]

    def prune(self, prefix: str) -> None:
        pass

    @property
    def placed(self) -> dict[str, bytes]:
        """Return every file that lies in its place."""
        return {path: content for path, (content, _) in self.kept.items() if not path.startswith("trash/")}
