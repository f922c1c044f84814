"""What is sealed cannot be opened, listed or handed on, by whatever name it is called; all else can."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_detectors.errors import Peeked
from ad_detectors.seal import sealed

FILE = "test/cut/0.png"


@pytest.fixture
def category(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "bottle"
    (folder / FILE).parent.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / FILE)
    (tmp_path / "link").symlink_to(folder)
    return folder


def through_a_link(folder: Path) -> object:
    return (folder.parents[1] / "link" / FILE).read_bytes()


def by_descriptor(folder: Path) -> object:
    number = os.open(folder.parents[1] / "link" / FILE, os.O_RDONLY)
    return os.fdopen(number)


def through_a_new_link(folder: Path) -> object:
    os.link(folder / FILE, folder.parents[1] / "mine.png")
    return (folder.parents[1] / "mine.png").read_bytes()


WAYS: dict[str, Callable[[Path], object]] = {
    "opened test/cut/0.png of mvtec/bottle": lambda folder: (folder / FILE).open("rb"),
    "opened test/cut/0.png ": lambda folder: Image.open(folder / FILE),
    "opened test/cut/0.png of": lambda folder: np.fromfile(folder / FILE, np.uint8),
    "opened test/cut/0.png of mvtec": through_a_link,
    "opened test": by_descriptor,
    "listed mvtec/bottle;": lambda folder: list(folder.rglob("*")),
    "listed test/cut of": lambda folder: list(os.scandir(folder / "test" / "cut")),
    "listed test of": lambda folder: list(os.walk(folder / "test")),
    "linked to test/cut/0.png": through_a_new_link,
    "handed the path of mvtec/bottle to another program": lambda folder: os.system(f"ls {folder}"),  # noqa: S605 - what must fail
}


@pytest.mark.parametrize("said", WAYS)
def test_no_way_leads_to_what_is_sealed(category: Path, said: str) -> None:
    with pytest.raises(Peeked, match=f"detector 'x' {said}"), sealed("x", {category: "mvtec/bottle"}):
        WAYS[said](category)
    assert (category / FILE).read_bytes(), "the seal is off again"


def test_a_descriptor_that_was_open_before_is_known_by_its_file(category: Path) -> None:
    number = os.open(category / FILE, os.O_RDONLY)
    with pytest.raises(Peeked, match=r"opened test/cut/0\.png"), sealed("x", {category: "mvtec/bottle"}):
        open(number, closefd=False)  # noqa: SIM115 - by number
    os.close(number)


def swallowing(file: Path, after: Callable[[], object]) -> None:
    try:
        file.read_bytes()
    except Exception:
        after()


def test_what_was_swallowed_is_raised_at_the_end_whatever_else_went_wrong(category: Path) -> None:
    for after in (lambda: None, lambda: 1 / 0):
        with pytest.raises(Peeked, match="opened test"), sealed("x", {category: "mvtec/bottle"}):
            swallowing(category / FILE, after)


def test_an_order_to_stop_passes_through(category: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), sealed("x", {category: "mvtec/bottle"}):
        swallowing(category / FILE, stop)


def test_everything_else_is_as_before_even_within(category: Path) -> None:
    within, deeper = category / "home", category / "home" / "pictures"
    deeper.mkdir(parents=True)
    beside = category.with_name("bottles")
    beside.mkdir()
    places = {category: "mvtec/bottle", deeper: "the decoded pictures"}
    with sealed("x", places, [within]):
        (within / "a.txt").write_text("a")
        (beside / "a.txt").write_text("a")
        with tempfile.TemporaryFile() as file:
            file.write(b"a")
        assert list(Path("/").iterdir())
    with pytest.raises(Peeked, match=r"opened a\.npy of the decoded pictures"), sealed("x", places, [within]):
        (deeper / "a.npy").write_text("a")


def test_only_the_detectors_own_code_may_not_ask_for_frames_and_objects() -> None:
    with sealed("x", {}, module="some.detector"):
        assert sys._getframe() is not None
    said = r"searched the memory of its process \(sys\._getframe\)"
    with pytest.raises(Peeked, match=said), sealed("x", {}, module=__name__):
        sys._getframe()
