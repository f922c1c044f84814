"""A fingerprint names the pictures of a category, wherever they lie and however often it is asked for."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ad_detectors.data import fingerprint as module
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.errors import DataError


@pytest.fixture
def category(tmp_path: Path) -> Path:
    return make(tmp_path / "data" / "screw")


def make(folder: Path) -> Path:
    for name in ("train/good/0.png", "train/good/1.png", "test/cut/0.png", "ground_truth/cut/0_mask.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture " + name.encode())
        age(folder / name)
    return folder


def age(path: Path, seconds: int = 1000) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_equal_contents_have_equal_fingerprints_wherever_they_lie(category: Path, tmp_path: Path) -> None:
    copy = make(tmp_path / "elsewhere" / "renamed")
    (copy / "train/good/.DS_Store").write_bytes(b"junk")
    (copy / "readme.txt").write_bytes(b"not a picture")
    assert fingerprint(category) == fingerprint(copy)
    assert len(fingerprint(category)) == 64


def test_the_number_of_a_category_never_changes_since_jobs_on_record_name_it(category: Path) -> None:
    assert fingerprint(category) == "177811ef531bd252aa9d310d220bd64d9ca13a8a375e81121071fb5274a6c105"


@pytest.mark.parametrize("name", ["train/good/1.png", "test/cut/0.png", "ground_truth/cut/0_mask.png"])
def test_a_changed_renamed_or_removed_file_changes_the_fingerprint(category: Path, name: str) -> None:
    seen = {fingerprint(category)}
    (category / name).write_bytes(b"changed")
    seen.add(fingerprint(category))
    (category / name).rename((category / name).with_name("9.png"))
    seen.add(fingerprint(category))
    (category / name).with_name("9.png").unlink()
    seen.add(fingerprint(category))
    assert len(seen) == 4


def test_a_second_call_reads_no_picture_again(
    category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "fingerprints.json"
    first = fingerprint(category, cache)
    monkeypatch.setattr(module, "_hash", lambda path: pytest.fail(f"read {path} again"))
    assert fingerprint(category, cache) == first


def test_a_change_of_contents_is_seen_through_the_cache(category: Path, tmp_path: Path) -> None:
    cache = tmp_path / "fingerprints.json"
    before = fingerprint(category, cache)
    (category / "train/good/0.png").write_bytes(b"PICTURE train/good/0.png")  # same size
    assert fingerprint(category, cache) != before
    assert fingerprint(category, cache) == fingerprint(category)


def test_a_file_changed_a_moment_ago_is_not_trusted_to_the_cache(category: Path, tmp_path: Path) -> None:
    picture, cache = category / "train/good/0.png", tmp_path / "fingerprints.json"
    picture.write_bytes(b"one")
    before, status = fingerprint(category, cache), picture.stat()
    picture.write_bytes(b"two")  # within the clock's grain: same size, same time
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(category, cache) != before


def test_two_categories_share_a_cache_without_mixing(category: Path, tmp_path: Path) -> None:
    cache, other = tmp_path / "fingerprints.json", make(tmp_path / "other" / "nut")
    (other / "train/good/0.png").write_bytes(b"PICTURE train/good/0.png")
    os.utime(other / "train/good/0.png", ns=(0, (category / "train/good/0.png").stat().st_mtime_ns))
    assert fingerprint(category, cache) != fingerprint(other, cache)
    assert fingerprint(category, cache) == fingerprint(category)


@pytest.mark.parametrize("junk", [b"", b"{", b"[1]", b'{"a": {"b": [1]}}', b"\xff\xfe"])
def test_a_broken_cache_is_ignored_and_replaced(category: Path, tmp_path: Path, junk: bytes) -> None:
    cache = tmp_path / "fingerprints.json"
    cache.write_bytes(junk)
    assert fingerprint(category, cache) == fingerprint(category)
    assert cache.read_bytes() != junk


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(category: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert fingerprint(category, tmp_path / "file" / "cache.json") == fingerprint(category)


def test_several_processes_sharing_a_cache_agree(category: Path, tmp_path: Path) -> None:
    jobs = [(category, tmp_path / "fingerprints.json")] * 16
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert set(pool.starmap(fingerprint, jobs)) == {fingerprint(category)}
    assert list(tmp_path.glob("*.tmp")) == []


def test_a_folder_without_pictures_and_a_link_in_a_circle_are_named(category: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no pictures"):
        fingerprint(tmp_path / "empty")
    (category / "train" / "loop").symlink_to(category)
    with pytest.raises(DataError, match="loop links back"):
        fingerprint(category)


def test_layout_and_fingerprint_need_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules);"
        "import ad_detectors.data.layout, ad_detectors.data.fingerprint;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - sys.stdlib_module_names - {'ad_detectors'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
