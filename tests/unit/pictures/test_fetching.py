"""A machine fetches what it lacks, keeps it within a bound, and whoever dies leaves nothing half."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ad_platform.errors import DiskFull, InvalidData
from ad_platform.failpoints import Edge
from ad_platform.pictures.sets import read_set
from ad_platform.specs import DatasetRef
from ad_platform.storage.pushed_file import PushedFile
from mortal import KILLED, dying
from pushed_cases import Pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Pictures]:
    made = Pictures(tmp_path)
    yield made
    made.close()


def pushed(pictures: Pictures, category: str = "screw") -> tuple[DatasetRef, Sequence[PushedFile]]:
    ref = pictures.make(category)
    pictures.pusher().category(ref)
    found = read_set(pictures.storage, ref.fingerprint)
    assert found is not None
    return ref, found.files


def fetch(pictures: Pictures, category: str, limit: int = 10**6) -> str:
    """Fetch a category as a process that ends afterwards."""
    ref, files = pushed(pictures, category)
    use = pictures.sets(limit).use(ref.fingerprint)
    try:
        folder = pictures.fetcher(limit).fetch(ref.fingerprint, files)
        assert pictures.mark(folder) == ref.fingerprint
    finally:
        use.release()
    return ref.fingerprint


def test_what_is_here_is_not_fetched_again(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    told: list[tuple[int, int, int]] = []
    fetcher = pictures.fetcher(told=lambda *how: told.append(how))
    folder = fetcher.fetch(ref.fingerprint, files)
    assert pictures.mark(folder) == ref.fingerprint
    of = sum(file.size for file in files)
    assert told[0] == (0, of, 4)
    assert told[-1] == (of, of, 0)
    assert fetcher.fetch(ref.fingerprint, files) == folder
    assert pictures.storage.blobs_read == 4


def test_files_of_another_set_are_shared_and_not_fetched(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    pictures.fetcher().fetch(ref.fingerprint, files)
    (Path(ref.path) / "train/good/9.png").write_bytes(b"one more")
    grown = pictures.ref(Path(ref.path))
    pictures.pusher().category(grown)
    found = read_set(pictures.storage, grown.fingerprint)
    assert found is not None
    folder = pictures.fetcher().fetch(grown.fingerprint, found.files)
    assert pictures.mark(folder) == grown.fingerprint
    assert pictures.storage.blobs_read == 5
    # What is broken over there is not taken along.
    (pictures.sets().pictures(ref.fingerprint) / "train/good/0.png").write_bytes(b"x")
    pictures.sets().evict(grown.fingerprint)
    assert pictures.mark(pictures.fetcher().fetch(grown.fingerprint, found.files)) == grown.fingerprint


@pytest.mark.parametrize(
    ("edge", "left"),
    [(Edge.FETCH, 4), (f"{Edge.FETCHED}@1", 4), (f"{Edge.FETCHED}@3", 4), (Edge.GATHERED, 0)],
)
def test_who_is_killed_while_fetching_leaves_whole_files_and_the_next_goes_on(
    pictures: Pictures, edge: str, left: int
) -> None:
    ref, files = pushed(pictures)

    def work() -> None:
        pictures.sets().use(ref.fingerprint)
        pictures.fetcher().fetch(ref.fingerprint, files)

    assert dying(work, f"{edge}:kill") == KILLED
    folder = pictures.sets().pictures(ref.fingerprint)
    assert not pictures.sets().is_whole(ref.fingerprint)
    there = [file for file in files if (folder / file.name).exists()]
    assert all((folder / file.name).stat().st_size == file.size for file in there)
    assert pictures.mark(pictures.fetcher().fetch(ref.fingerprint, files)) == ref.fingerprint
    assert pictures.storage.blobs_read == 4 - len(there)
    assert pictures.storage.blobs_read <= left
    assert list((folder.parent / "begun").iterdir()) == []


def test_of_several_that_want_one_set_one_fetches_it(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    folders: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(
                pictures.fetcher(waiting=lambda words: threading.Event().wait(0.01)).fetch(
                    ref.fingerprint, files
                )
            )
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(folders) == 3
    assert pictures.storage.blobs_read == 4


def test_the_longest_unused_set_goes_and_never_one_in_use(pictures: Pictures) -> None:
    size = sum(file.size for file in pushed(pictures, "nut")[1])
    limit = 2 * size + 200
    first, second = fetch(pictures, "nut", limit), fetch(pictures, "bolt", limit)
    for number, each in enumerate((first, second)):
        os.utime(pictures.sets().folder / each / "list.json", (1000 + number, 1000 + number))
    use = pictures.sets().use(first)
    third = fetch(pictures, "clip", limit)
    assert {each.fingerprint for each in pictures.sets().kept()} == {first, third}
    assert sum(each.size for each in pictures.sets().kept()) <= limit
    use.release()


def test_where_all_is_in_use_one_waits_until_it_is_not(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    limit = sum(file.size for file in files) + 100
    use = pictures.sets(limit).use(fetch(pictures, "nut", limit))
    told: list[str] = []

    def waiting(words: str) -> None:
        told.append(words)
        if len(told) == 3:
            use.release()

    folder = pictures.fetcher(limit, waiting=waiting).fetch(ref.fingerprint, files)
    assert pictures.mark(folder) == ref.fingerprint
    assert told == ["waiting for room: what is kept here is in use"] * 3


def test_a_set_that_never_fits_is_refused_with_the_setting(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    with pytest.raises(DiskFull, match="raise ADCTL_FETCH_GB where its worker starts"):
        pictures.fetcher(100).fetch(ref.fingerprint, files)
    assert pictures.sets().kept() == []


def test_one_that_is_killed_while_it_removes_a_set_leaves_none_in_part(pictures: Pictures) -> None:
    mark = fetch(pictures, "nut")
    assert dying(lambda: pictures.sets().evict(mark), f"{Edge.EVICTED}:kill") == KILLED
    assert pictures.sets().kept() == []
    fetch(pictures, "bolt")  # who makes room next tidies up
    assert not [path for path in pictures.sets().folder.iterdir() if path.name.startswith(".")]


def test_a_full_disk_is_said_with_the_folder(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, files = pushed(pictures)

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull, match=r"no room left in .*fetched.* for pictures"):
        pictures.fetcher().fetch(ref.fingerprint, files)
    monkeypatch.undo()
    assert pictures.mark(pictures.fetcher().fetch(ref.fingerprint, files)) == ref.fingerprint


def test_what_is_missing_or_broken_in_the_storage_is_named(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    pictures.storage.write(files[1].path, b"not it")
    with pytest.raises(InvalidData, match=r"train/good/1\.png is broken in the storage .*--check"):
        pictures.fetcher().fetch(ref.fingerprint, files)
    pictures.storage.delete([files[1].path])
    with pytest.raises(InvalidData, match=r"train/good/1\.png is missing in the storage"):
        pictures.fetcher().fetch(ref.fingerprint, files)
    pictures.pusher().category(ref)
    pictures.fetcher().fetch(ref.fingerprint, files)


def test_what_the_disk_has_damaged_is_fetched_again_and_what_is_strange_goes(pictures: Pictures) -> None:
    ref, files = pushed(pictures)
    fetcher = pictures.fetcher()
    folder = fetcher.fetch(ref.fingerprint, files)
    (folder / "train/good/0.png").write_bytes(b"?" * files[0].size)
    (folder / "train/good/strange.png").write_bytes(b"?")
    assert pictures.mark(folder) != ref.fingerprint
    assert fetcher.mend(ref.fingerprint, files) == ["train/good/0.png", "train/good/strange.png"]
    assert pictures.mark(fetcher.fetch(ref.fingerprint, files)) == ref.fingerprint
    assert pictures.storage.blobs_read == 5
