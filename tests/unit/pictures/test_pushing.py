"""Pictures come into the storage once each, and nothing is said of them before all are there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import CorruptBundle, InvalidData, StorageDown
from ad_platform.failpoints import Commit, Edge
from ad_platform.pictures.pulling import pull
from ad_platform.pictures.pushing import stored
from ad_platform.pictures.sets import read_set
from ad_platform.storage.layout import blob_path, set_path
from ad_platform.storage.listings import Listing, read_listing
from mortal import KILLED, dying
from pushed_cases import Pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Pictures]:
    made = Pictures(tmp_path)
    yield made
    made.close()


def test_each_content_is_sent_once_and_what_is_there_is_not_sent_again(pictures: Pictures) -> None:
    ref = pictures.make(
        files={"train/good/a.png": b"same", "train/good/b.png": b"same", "test/good/c.png": b"x"}
    )
    told: list[tuple[int, int]] = []
    result = pictures.pusher().category(ref, lambda done, of: told.append((done, of)))
    assert (result.sent, result.sent_bytes, result.note.files, result.note.size) == (2, 5, 3, 9)
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)

    (Path(ref.path) / "train/good/d.png").write_bytes(b"new")
    again = pictures.pusher().category(pictures.ref(Path(ref.path)))
    assert (again.sent, again.sent_bytes) == (1, 3)
    assert pictures.storage.blobs_written == 3


def test_a_set_is_verified_by_its_own_name(pictures: Pictures) -> None:
    ref = pictures.make()
    pictures.pusher().category(ref)
    found = read_set(pictures.storage, ref.fingerprint)
    assert found is not None
    assert (found.dataset, found.category, found.user) == ("parts", "screw", "kim")
    assert [file.name for file in found.files] == [f"train/good/{n}.png" for n in range(4)]

    other = replace(found, files=found.files[1:])
    pictures.storage.write(set_path(ref.fingerprint), other.content)
    with pytest.raises(CorruptBundle, match="lists other pictures; push them again"):
        read_set(pictures.storage, ref.fingerprint)
    pictures.storage.write(
        set_path(ref.fingerprint), found.content.replace(b"train/good/0", b"../../../etc/0")
    )
    with pytest.raises(CorruptBundle, match="not a name below a folder"):
        read_set(pictures.storage, ref.fingerprint)


@pytest.mark.parametrize(
    "edge",
    [
        f"{Edge.WRITING}@2",
        f"{Edge.HALF}@3",
        f"{Edge.WRITTEN}@1",
        f"{Edge.RENAMED}@4",
        Edge.GIVEN,
        f"{Edge.HALF}@5",  # of the list itself
        Edge.NAMED,
        Commit.PUSH.before,
        Commit.PUSH.after,
    ],
)
def test_a_push_that_is_killed_leaves_nothing_half_and_the_next_sends_what_lacks(
    pictures: Pictures, edge: str
) -> None:
    ref = pictures.make()
    pusher = pictures.pusher(at_once=1)
    assert dying(lambda: pusher.category(ref), f"{edge}:kill") == KILLED

    noted = pictures.store.pushed.get(ref.fingerprint) is not None
    listed = read_set(pictures.storage, ref.fingerprint)  # whole or not there: raises for half a list
    there = stored(pictures.storage, {file.sha256 for file in listed.files}) if listed else {}
    assert len(there) == (4 if listed else 0)
    assert listed is not None or not noted
    before = {file.path for file in pictures.storage.survey("data/blobs") if ".writing-" not in file.path}

    assert pictures.pusher().category(ref).sent == 4 - len(before)
    assert pictures.store.pushed.get(ref.fingerprint) is not None
    for file in pictures.storage.survey("data/blobs"):
        content = pictures.storage.read(file.path)
        assert ".writing-" in file.path or content is not None
    target = pictures.folder / "pulled"
    found = read_set(pictures.storage, ref.fingerprint)
    assert found is not None
    assert pull(pictures.storage, pictures.settings, found, target) == 4
    assert pictures.mark(target) == ref.fingerprint


def test_what_a_collection_took_while_it_was_pushed_is_sent_again(pictures: Pictures) -> None:
    ref = pictures.make()
    pictures.pusher().category(ref)
    (file, *_) = pictures.storage.survey("data/blobs")
    record = pictures.store.pushed.record

    def noting(note: object) -> object:
        pictures.storage.delete([file.path])  # it had seen no note of the set
        return record(note)  # type: ignore[arg-type]

    pictures.store.pushed.record = noting  # type: ignore[method-assign, assignment]
    assert pictures.pusher().category(ref).sent == 1
    assert pictures.storage.read(file.path) is not None


def test_a_broken_file_in_the_storage_is_sent_again_when_asked_for_and_a_cut_one_always(
    pictures: Pictures,
) -> None:
    ref = pictures.make()
    pictures.pusher().category(ref)
    first, second, *_ = pictures.storage.survey("data/blobs")
    whole = pictures.storage.read(first.path)
    assert whole is not None
    pictures.storage.write(first.path, b"?" * len(whole))
    pictures.storage.write(second.path, b"?")
    assert pictures.pusher().category(ref).sent == 1
    assert pictures.storage.read(first.path) != whole
    assert pictures.pusher(check=True).category(ref).sent == 1
    assert pictures.storage.read(first.path) == whole


def test_a_file_that_changes_meanwhile_is_named_and_nothing_is_noted(pictures: Pictures) -> None:
    ref = pictures.make()
    (Path(ref.path) / "train/good/2.png").write_bytes(b"other")
    with pytest.raises(InvalidData, match="changed while they were read"):
        pictures.pusher().category(ref)
    assert pictures.store.pushed.all() == []


def test_a_storage_that_does_not_answer_once_is_asked_again(pictures: Pictures) -> None:
    write, failures = pictures.storage.write, iter([True, True, False])

    def shaky(path: str, content: bytes) -> str:
        if next(failures, False):
            raise StorageDown("away for a moment")
        return write(path, content)

    pictures.storage.write = shaky  # type: ignore[method-assign]
    assert pictures.pusher(at_once=1).category(pictures.make()).sent == 4


def test_the_pictures_of_a_prediction_are_named_by_their_content(pictures: Pictures) -> None:
    folder = pictures.folder / "loose"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    (folder / "b.png").write_bytes(b"b")
    plain = Listing(folder=str(folder), names=["b.png", "a.png"], node="n1")
    listing, result = pictures.pusher().listing(plain)
    assert result.sent == 2
    assert read_listing(pictures.storage, listing.fingerprint) == replace(listing, files=tuple(listing.files))
    assert [pictures.storage.read(file.path) for file in listing.files] == [b"b", b"a"]
    (folder / "a.png").write_bytes(b"c")
    assert pictures.pusher().listing(plain)[0].fingerprint != listing.fingerprint


def test_what_is_pulled_overwrites_nothing(pictures: Pictures) -> None:
    ref = pictures.make()
    pictures.pusher().category(ref)
    found, target = read_set(pictures.storage, ref.fingerprint), pictures.folder / "out"
    assert found is not None
    (target / "train" / "good").mkdir(parents=True)
    (target / "train/good/1.png").write_bytes((Path(ref.path) / "train/good/1.png").read_bytes())
    assert pull(pictures.storage, pictures.settings, found, target) == 3
    (target / "train/good/1.png").write_bytes(b"mine")
    with pytest.raises(InvalidData, match=r"1\.png has another content"):
        pull(pictures.storage, pictures.settings, found, target)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(InvalidData, match=r"notes\.txt is not of parts/screw"):
        pull(pictures.storage, pictures.settings, found, target)
    pictures.storage.delete([blob_path(found.files[0].sha256)])
    with pytest.raises(InvalidData, match=r"train/good/0\.png is missing in the storage"):
        pull(pictures.storage, pictures.settings, found, pictures.folder / "another")
