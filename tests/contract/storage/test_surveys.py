"""Every file of a storage can be found, put at a second place, and removed in order, wherever it lies."""

import time
from pathlib import Path

import pytest

from ad_platform.errors import InvalidValue
from ad_platform.storage import open_storage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import TEMPORARY

PREFIX = "jobs/j1/model/a1"


def paths(storage: Storage, prefix: str = "") -> list[str]:
    return [file.path for file in storage.survey(prefix)]


def test_a_survey_finds_every_file_with_its_size_and_age(storage: Storage, folder: Path) -> None:
    assert storage.survey() == []
    manifest = storage.publish(PREFIX, folder)
    storage.write("listings/ab.jsonl", b"12345")
    found = storage.survey()
    names = sorted(manifest.files)
    assert [file.path for file in found if "/v-" not in file.path] == [
        f"{PREFIX}/manifest.json",
        "listings/ab.jsonl",
    ]
    assert sorted(file.path.split("/", 5)[-1] for file in found if "/v-" in file.path) == names
    sizes = {file.path.rsplit("/", 1)[1]: file.size for file in found}
    assert sizes["state.safetensors"] == 256 * 5000
    assert sizes["ab.jsonl"] == 5
    assert all(abs(file.modified - time.time()) < 120 for file in found)
    assert paths(storage, "listings") == ["listings/ab.jsonl"]
    assert paths(storage, "nowhere") == []


def test_a_survey_of_a_folder_finds_unfinished_files(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    storage.write("jobs/j/a.txt", b"x")
    (tmp_path / "jobs" / "j" / f"{TEMPORARY}123").write_bytes(b"half")
    assert paths(storage) == [f"jobs/j/{TEMPORARY}123", "jobs/j/a.txt"]


def test_a_copied_bundle_is_whole_at_both_places(storage: Storage, folder: Path, tmp_path: Path) -> None:
    manifest = storage.publish(PREFIX, folder)
    for path in paths(storage, PREFIX):
        storage.copy(path, f"trash/x/{path}")
        storage.copy(path, f"trash/x/{path}")  # again changes nothing
    assert storage.fetch(PREFIX, tmp_path / "one").files == manifest.files
    assert storage.fetch(f"trash/x/{PREFIX}", tmp_path / "two").sha256 == manifest.sha256
    storage.delete(paths(storage, PREFIX))
    assert storage.manifest(PREFIX) is None
    assert storage.fetch(f"trash/x/{PREFIX}", tmp_path / "three").files == manifest.files
    assert not [path for path in paths(storage) if TEMPORARY in path]


def test_a_copy_replaces_what_is_there(storage: Storage) -> None:
    storage.write("a", b"new")
    storage.write("b", b"old")
    storage.copy("a", "b")
    storage.write("a", b"newer")
    assert storage.read("b") == b"new"


def test_what_is_not_there_cannot_be_copied(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.copy("a", "trash/a")
    assert storage.read("trash/a") is None
    with pytest.raises(InvalidValue):
        storage.copy("a", "../a")


def test_a_disk_without_second_names_gets_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("no links here")

    storage = open_storage(str(tmp_path))
    storage.write("a", b"x")
    monkeypatch.setattr("os.link", refused)
    storage.copy("a", "b/c")
    assert storage.read("b/c") == b"x"
    assert paths(storage) == ["a", "b/c"]


def test_deleting_and_pruning_leave_what_is_not_named(storage: Storage, tmp_path: Path) -> None:
    for path in ("jobs/a/x/1", "jobs/a/x/2", "jobs/a/y/3"):
        storage.write(path, b"x")
    storage.delete(["jobs/a/x/1", "jobs/a/x/2", "jobs/a/x/never"])
    storage.prune("jobs/a")
    assert paths(storage) == ["jobs/a/y/3"]
    storage.delete(["jobs/a/y/3"])
    storage.prune("jobs/a")
    assert storage.remains("jobs") == []
