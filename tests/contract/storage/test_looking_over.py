"""What whoever looks over a storage sees of it, wherever it lies."""

import time
from pathlib import Path

import pytest

from ad_platform.storage.contract import Storage
from ad_platform.storage.leftovers import PROBE, local_root, storage_time, unfinished


def test_folders_are_named_whatever_they_hold(storage: Storage, folder: Path) -> None:
    assert storage.folders("jobs") == []
    storage.publish("jobs/b/model/a1", folder)
    storage.write("jobs/a/logs/a1/000000.txt", b"x")
    assert storage.folders("jobs") == ["jobs/a", "jobs/b"]
    assert storage.folders("jobs/b/model") == ["jobs/b/model/a1"]
    assert storage.folders("jobs/a/logs/a1") == []


def test_its_clock_is_read_off_a_file_that_is_removed_again(storage: Storage, storage_url: str) -> None:
    assert storage_time(storage_url) == pytest.approx(time.time(), abs=3.0)
    assert storage.names(PROBE) == []


def test_only_a_folder_is_one() -> None:
    assert local_root("/a/b") == Path("/a/b")
    assert local_root("file:///a/b") == Path("/a/b")
    assert local_root("s3://a/b") is None


def test_looking_for_unfinished_files_can_be_cut_short(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / ".writing-1").write_text("x")
    now = time.time() + 100
    assert [one.size for one in unfinished(tmp_path, 50, now, lambda: True)] == [1]
    assert list(unfinished(tmp_path, 500, now, lambda: True)) == []
    with pytest.raises(TimeoutError):
        list(unfinished(tmp_path, 50, now, lambda: False))
