"""What a storage says when the disk is full, the server is away or the folder is closed."""

import socket
from pathlib import Path

import pytest

from ad_platform.errors import CorruptBundle, DiskFull, InvalidValue, StorageDown
from ad_platform.storage import open_storage
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import TEMPORARY, FolderBlobs
from contract.storage.faults import Died, FaultyBlobs
from rights import permissions_hold

PREFIX = "jobs/j1/checkpoints/000000003-a1"


@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_a_full_disk_names_path_and_size_and_leaves_no_bundle(
    storage: Storage, folder: Path, write: int
) -> None:
    assert isinstance(storage, BundleStorage)
    full = BundleStorage(FaultyBlobs(storage._blobs, full_at=write))
    with pytest.raises(DiskFull, match=r"no room left to write jobs/j1/checkpoints/.* free some space"):
        full.publish(PREFIX, folder)
    assert storage.manifest(PREFIX) is None
    assert storage._blobs.tree("jobs") == []


def test_a_full_disk_leaves_the_bundle_that_was_there(storage: Storage, folder: Path, tmp_path: Path) -> None:
    assert isinstance(storage, BundleStorage)
    old = storage.publish(PREFIX, folder)
    with pytest.raises(DiskFull):
        BundleStorage(FaultyBlobs(storage._blobs, full_at=2)).publish(PREFIX, folder)
    assert storage.fetch(PREFIX, tmp_path / "out") == old


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_disk_itself_saying_full_is_disk_full(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"no room left to write .*/x \(3 bytes\)"):
        FullBlobs(tmp_path).put("x", b"abc")
    assert list(tmp_path.iterdir()) == [tmp_path / "full"]


class FullBlobs(FolderBlobs):
    """A folder whose files are written to the device that is always full."""

    def _place(self, path, size, fill) -> None:
        with self._changing(path, size), (self.root / "full").open("wb", buffering=0) as file:
            fill(file)


def test_a_server_that_does_not_answer_is_storage_down(
    s3_endpoint: str, folder: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    storage = open_storage(f"s3://bucket/x?endpoint_url={endpoint}")
    with pytest.raises(StorageDown, match=r"cannot read s3://bucket/x/a"):
        storage.read("a")
    with pytest.raises(StorageDown, match=r"cannot write s3://bucket/x/a"):
        storage.write("a", b"")


def test_a_bucket_that_is_not_there_is_storage_down(s3_endpoint: str) -> None:
    storage = open_storage(f"s3://no-such-bucket/x?endpoint_url={s3_endpoint}")
    with pytest.raises(StorageDown, match="cannot write"):
        storage.write("a", b"x")


def test_a_path_that_is_no_folder_is_storage_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = open_storage(str(tmp_path / "file"))
    with pytest.raises(StorageDown, match=r"cannot write .*; check ADCTL_STORAGE_URL"):
        storage.write("a", b"x")


def test_a_folder_that_may_not_be_written_is_storage_down(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with permissions_hold(), pytest.raises(StorageDown, match="permission denied"):
        open_storage(str(tmp_path / "x")).write("a", b"x")


@pytest.mark.parametrize(("url", "words"), [("", "is empty"), ("nosuch://x", "no fsspec address")])
def test_an_address_that_is_none_says_so(url: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        open_storage(url)


def test_unfinished_files_of_a_folder_are_never_listed(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.write("jobs/j/a.txt", b"x")
    (tmp_path / "jobs" / "j" / f"{TEMPORARY}123").write_bytes(b"half")
    assert storage.names("jobs/j") == ["jobs/j/a.txt"]


def test_a_reader_follows_a_bundle_that_is_replaced_under_it(tmp_path: Path, folder: Path) -> None:
    blobs = FolderBlobs(tmp_path / "s")
    storage = BundleStorage(blobs)
    storage.publish(PREFIX, folder)

    class Replacing(FaultyBlobs):
        """Replaces the bundle after the reader took its manifest."""

        def get_file(self, path: str, target: Path) -> str:
            if not self.writes:
                self.writes = 1
                (folder / "state.json").write_text("new")
                storage.publish(PREFIX, folder)
            return super().get_file(path, target)

    BundleStorage(Replacing(blobs)).fetch(PREFIX, tmp_path / "out")
    assert (tmp_path / "out" / "state.json").read_text() == "new"


def test_a_remove_that_dies_half_way_leaves_no_bundle_to_resume_from(tmp_path: Path, folder: Path) -> None:
    class Dying(FaultyBlobs):
        """Dies once the manifests are gone."""

        def clear(self, prefix: str) -> None:
            raise Died

    storage = BundleStorage(FolderBlobs(tmp_path / "s"))
    storage.publish(PREFIX, folder)
    with pytest.raises(Died):
        BundleStorage(Dying(FolderBlobs(tmp_path / "s"))).remove("jobs/j1")
    assert storage.manifest(PREFIX) is None
    with pytest.raises(CorruptBundle):
        storage.fetch(PREFIX, tmp_path / "out")
