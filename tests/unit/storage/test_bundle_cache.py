"""A bundle is fetched once, checked each time, and made anew when what lies here is damaged."""

from pathlib import Path

import pytest

from ad_platform.errors import CorruptBundle, Unavailable
from ad_platform.storage import open_storage
from ad_platform.storage.bundle_cache import KEPT, UNUSED, BundleCache
from ad_platform.storage.contract import Storage

PREFIX = "jobs/a/model/a1"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "storage"))


def publish(storage: Storage, tmp_path: Path, text: str, prefix: str = PREFIX) -> str:
    folder = tmp_path / "source"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(text)
    return storage.publish(prefix, folder).sha256


def test_a_bundle_that_lies_here_needs_no_storage(storage: Storage, tmp_path: Path):
    sha256 = publish(storage, tmp_path, "weights")
    cache = BundleCache(storage, tmp_path / "cache")
    found = cache.fetch(PREFIX, sha256)
    storage.remove(PREFIX)

    assert cache.fetch(PREFIX, sha256) == found
    assert (found / "config.json").read_text() == "weights"
    assert [child.name for child in (tmp_path / "cache").iterdir()] == [sha256]


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_copy_is_fetched_anew(storage: Storage, tmp_path: Path, damage: str):
    sha256 = publish(storage, tmp_path, "weights")
    cache = BundleCache(storage, tmp_path / "cache")
    file = cache.fetch(PREFIX, sha256) / "config.json"
    file.unlink()
    if damage == "changed":
        file.write_text("weightz")

    assert (cache.fetch(PREFIX, sha256) / "config.json").read_text() == "weights"


def test_another_bundle_than_the_job_reported_is_refused(storage: Storage, tmp_path: Path):
    sha256 = publish(storage, tmp_path, "weights")
    publish(storage, tmp_path, "others")

    with pytest.raises(CorruptBundle, match="not what its job reported"):
        BundleCache(storage, tmp_path / "cache").fetch(PREFIX, sha256)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(storage: Storage, tmp_path: Path):
    sha256 = publish(storage, tmp_path, "weights")
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(Unavailable, match=r"cannot write .*cache.*; check the rights on ADCTL_HOME"):
        BundleCache(storage, tmp_path / "cache").fetch(PREFIX, sha256)


def test_the_longest_unused_go_once_there_are_many(storage: Storage, tmp_path: Path):
    now = [1_000_000.0]
    cache = BundleCache(storage, tmp_path / "cache", clock=lambda: now[0])
    marks = []
    for number in range(KEPT + 2):
        marks.append(publish(storage, tmp_path, f"weights {number}", f"jobs/{number}/model/a1"))
        cache.fetch(f"jobs/{number}/model/a1", marks[-1])
        now[0] += 1
    assert len(list((tmp_path / "cache").iterdir())) == KEPT + 2  # nobody had time to leave them unused

    now[0] += UNUSED + KEPT
    cache.fetch("jobs/0/model/a1", marks[0])  # is used, so it stays
    last = publish(storage, tmp_path, "the last", "jobs/last/model/a1")
    cache.fetch("jobs/last/model/a1", last)

    left = {child.name for child in (tmp_path / "cache").iterdir()}
    assert left == {last, marks[0], *marks[-(KEPT - 2) :]}
