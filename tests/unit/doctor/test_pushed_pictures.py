"""The doctor names pushed pictures that are not whole, not noted, or nobody's, and mends what is safe."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform import datasets
from ad_platform.pictures.pushing import Pusher
from ad_platform.storage.layout import set_path
from ward import Ward


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    ward = Ward(tmp_path)
    yield ward
    ward.close()


@pytest.fixture
def pushed(ward: Ward) -> str:
    folder = ward.folder / "data" / "parts" / "nut" / "train" / "good"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.png").write_bytes(name.encode())
    ref = datasets.open_folder(ward.settings, folder.parents[1]).ref
    Pusher(ward.store, ward.storage, ward.settings).category(ref)
    return ref.fingerprint


def test_what_is_whole_is_fine(ward: Ward, pushed: str) -> None:
    assert ward.kinds("pictures") == []


def test_a_note_without_pictures_is_forgotten(ward: Ward, pushed: str) -> None:
    ward.storage.delete([set_path(pushed)])
    ward.mends(("lost-pictures", pushed), names=["pictures"])
    assert ward.store.pushed.all() == []


def test_pictures_that_nobody_noted_are_noted(ward: Ward, pushed: str) -> None:
    note = ward.store.pushed.get(pushed)
    ward.store.pushed.forget(pushed)
    ward.mends(("unnoted-pictures", pushed), names=["pictures"])
    assert ward.store.pushed.get(pushed) == note


def test_missing_and_cut_files_and_lists_are_named(ward: Ward, pushed: str) -> None:
    first, second = ward.storage.survey("data/blobs")
    ward.storage.delete([first.path])
    ward.storage.write(second.path, b"")
    (found,) = ward.look("pictures")
    assert (found.kind, found.subject, found.mending) == ("broken-pictures", pushed, None)
    assert "2 of 2 files" in found.words
    assert "adctl data push" in found.remedy
    ward.storage.write(set_path(pushed), b"{")
    (found,) = ward.look("pictures")
    assert found.kind == "broken-pictures"


def test_files_of_no_pictures_are_named_once_a_push_would_have_ended(ward: Ward, pushed: str) -> None:
    ward.storage.write(f"data/blobs/aa/{'a' * 64}", b"left")
    assert ward.kinds("pictures") == []
    file = Path(ward.settings.storage_url) / "data" / "blobs" / "aa" / ("a" * 64)
    os.utime(file, (time.time() - 2 * 86400,) * 2)
    assert ward.kinds("pictures") == [("files-of-no-pictures", "data/blobs")]
