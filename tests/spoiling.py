"""What accidents do to files of a storage: they are changed below a folder, wherever the storage is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ad_platform.storage.contract import Storage
from ad_platform.storage.engine import open_storage


@contextmanager
def spoilt(url: str, prefix: str) -> Iterator[Path]:
    """Give a folder with all that a storage has below a prefix; what is done there is done to the storage."""
    if "://" not in url:
        yield Path(url)
        return
    storage = open_storage(url)
    before = contents(storage, prefix)
    with TemporaryDirectory(prefix="adctl-spoilt-") as name:
        folder = Path(name)
        for path, content in before.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield folder
        after = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
        for path, file in after.items():
            if before.get(path) != (content := file.read_bytes()):
                storage.write(path, content)
        storage.delete(sorted(before.keys() - after.keys()))


def contents(storage: Storage, prefix: str) -> dict[str, bytes]:
    """Return every file below a prefix."""
    found = {file.path: storage.read(file.path) for file in storage.survey(prefix)}
    return {path: content for path, content in found.items() if content is not None}
