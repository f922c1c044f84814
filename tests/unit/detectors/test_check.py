"""A check names every bad file, mask and folder of a category, and does not stop at the first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hostile_images
from ad_detectors.data.check import check
from ad_detectors.data.findings import Report
from ad_detectors.data.layout import open_category
from ad_detectors.errors import DataError

numbers = iter(range(10**9))


def put(folder: Path, *names: str, size: tuple[int, int] = (8, 6), pixels: np.ndarray | None = None) -> None:
    """Save pictures that are all different, or these pixels."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = np.random.default_rng(next(numbers)).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(fresh if pixels is None else pixels).save(path)


def drawn(height: int = 6, width: int = 8, rows: int = 2) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[:rows] = 255
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A category with nothing to say of it."""
    folder = tmp_path / "data" / "nut"
    put(folder, *(f"train/good/{index}.png" for index in range(10)))
    put(folder, "test/good/0.png", "test/cut/a.png", "test/cut/b.png")
    put(folder, "ground_truth/cut/a_mask.png", "ground_truth/cut/b.png", pixels=drawn())
    return folder


def found(folder: Path) -> dict[str, list[str]]:
    (report,) = check(folder)
    kinds: dict[str, list[str]] = {}
    for finding in report.to_json()["findings"]:
        kinds.setdefault(finding["kind"], []).append(finding["path"])
    return kinds


def test_a_good_category_has_no_findings(folder: Path) -> None:
    (report,) = check(folder)
    assert report.findings == ()
    assert (report.dataset, report.category, report.train) == ("data", "nut", 10)
    assert [(one.name, one.pictures, one.masks) for one in report.test] == [("cut", 2, 2), ("good", 1, 0)]
    assert list(report.lines()) == [
        "data/nut: 10 to train; test: 1 good, 2 anomalous (cut 2), 2 with a mask",
        "data/nut is fine",
    ]


def test_btad_and_plain_folders_are_checked_too(folder: Path, tmp_path: Path) -> None:
    (folder / "train/good").rename(folder / "train/ok")
    (folder / "test/good").rename(folder / "test/ok")
    assert found(folder) == {}
    assert found(folder / "train/ok") == {"no-test": [""]}


def test_every_bad_file_is_named(folder: Path) -> None:
    bad = hostile_images.build(folder / "train/good")
    masks = hostile_images.build(folder / "ground_truth/cut")
    (report,) = check(folder)
    named = {finding.path: finding.words for finding in report.findings}
    for one in bad:
        if one.path.name != "folder.png":
            assert f"train/good/{one.path.name}" in named
    for one in masks:
        assert f"ground_truth/cut/{one.path.name}" in named
    assert "several pictures; save each in a file of its own" in named["train/good/stack.tif"]


GREYS = np.arange(48, dtype=np.uint8).reshape(6, 8)
B = "ground_truth/cut/b.png"
Spoil = Callable[[Path], None]
SPOILED: list[tuple[str, str, Spoil]] = [
    ("mask-without-picture", "ground_truth/cut/c_mask.png", lambda f: put(f, "ground_truth/cut/c_mask.png")),
    ("mask-without-picture", "ground_truth/dent/a.png", lambda f: put(f, "ground_truth/dent/a.png")),
    ("picture-without-mask", "test/cut/c.png", lambda f: put(f, "test/cut/c.png")),
    ("two-masks", "ground_truth/cut/a.png", lambda f: put(f, "ground_truth/cut/a.png", pixels=drawn())),
    ("two-masks", B, lambda f: put(f, "ground_truth/cut/b.bmp", pixels=drawn())),
    ("shared-mask", "test/cut/a.png", lambda f: put(f, "test/cut/a.bmp")),
    (
        "empty-mask",
        "ground_truth/cut/b.png",
        lambda f: put(f, B, pixels=drawn(rows=0)),
    ),
    ("full-mask", B, lambda f: put(f, B, pixels=drawn(rows=6))),
    ("mask-shape", B, lambda f: put(f, B, pixels=drawn(8, 6))),
    ("mask-size", B, lambda f: put(f, B, pixels=drawn(12, 16))),
    ("grey-mask", B, lambda f: put(f, B, pixels=GREYS)),
    (
        "mask-of-normal",
        "ground_truth/good/0.png",
        lambda f: put(f, "ground_truth/good/0.png", pixels=drawn()),
    ),
    ("misnamed-normal", "test/ok", lambda f: put(f, "test/ok/0.png")),
    ("not-read", "extra", lambda f: put(f, "extra/0.png")),
    ("not-read", "0.png", lambda f: put(f, "0.png")),
    ("not-read", "train/good/more", lambda f: put(f, "train/good/more/0.png")),
    ("not-read", "test", lambda f: put(f, "test/0.png")),
    ("foreign", "train/good/0.webp", lambda f: put(f, "train/good/0.webp")),
    ("labelled", "train/cut", lambda f: put(f, "train/cut/0.png")),
    ("blank", "train/good/x.png", lambda f: put(f, "train/good/x.png", pixels=drawn(rows=0))),
    ("sizes", "", lambda f: put(f, "train/good/x.png", size=(9, 9))),
    ("depths", "", lambda f: put(f, "train/good/x.png", pixels=GREYS)),
    ("few-training", "", lambda f: (f / "train/good/9.png").unlink()),
    ("no-normal-test", "", lambda f: (f / "test/good/0.png").unlink()),
]


@pytest.mark.parametrize(
    ("kind", "path", "spoil"), SPOILED, ids=[f"{kind} {path}" for kind, path, _ in SPOILED]
)
def test_what_is_wrong_is_found_where_it_is(folder: Path, kind: str, path: str, spoil: Spoil) -> None:
    spoil(folder)
    kinds = found(folder)
    assert path in kinds[kind]
    assert len(kinds[kind]) == 1


def test_a_mask_that_is_not_clear_is_an_error_to_whoever_opens_the_category(folder: Path) -> None:
    for kind, path, spoil in SPOILED:
        if kind == "shared-mask":
            spoil(folder)
            with pytest.raises(DataError, match=Path(path).name):
                open_category(folder)


def test_one_picture_in_two_places_is_found_whatever_its_format(folder: Path) -> None:
    with Image.open(folder / "train/good/3.png") as image:
        for name in ("train/good/again.png", "test/good/leaked.bmp", "test/cut/c.tif"):
            image.save(folder / name)
    kinds = found(folder)
    assert kinds["both-labels"] == ["test/cut/c.tif"]
    assert kinds["leaked"] == ["test/good/leaked.bmp"]
    assert kinds["repeated"] == ["train/good/again.png"]


def test_a_labelled_defect_that_is_also_somewhere_else_is_found(folder: Path) -> None:
    with Image.open(folder / "train/good/3.png") as image:
        put(folder, "train/cut/0.png", pixels=np.asarray(image))
    with Image.open(folder / "test/cut/b.png") as image:
        put(folder, "train/cut/1.png", pixels=np.asarray(image))
    kinds = found(folder)
    assert kinds["both-labels"] == ["train/cut/0.png"]
    assert kinds["leaked"] == ["test/cut/b.png"]


def test_without_any_mask_one_note_is_enough(folder: Path) -> None:
    for mask in (folder / "ground_truth/cut").iterdir():
        mask.unlink()
    assert found(folder) == {"no-masks": [""]}


def test_a_dataset_is_checked_category_by_category_and_errors_come_first(folder: Path) -> None:
    put(folder.parent, "bolt/train/good/0.png", "bolt/test/good/0.png", "bolt/test/bent/0.png")
    put(folder.parent, "bolt/ground_truth/bent/9.png")
    bolt, nut = check(folder.parent)
    assert (bolt.category, nut.category) == ("bolt", "nut")
    assert [finding.severity.value for finding in bolt.findings][:1] == ["error"]
    assert bolt.verdict() == "data/bolt has 1 error, 1 warning: repair it before training"


def test_the_number_of_threads_changes_nothing(folder: Path) -> None:
    for name in ("train/good/3.png", "test/cut/a.png", "ground_truth/cut/b.png"):
        (folder / name).write_bytes(b"")
    reports: list[Report] = [report for threads in (1, 2, 5) for report in check(folder, threads)]
    assert reports[0].errors == 3
    assert reports[0] == reports[1] == reports[2]


def test_what_is_no_category_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "visa/split_csv").mkdir(parents=True)
    for name, says in (("nowhere", "does not exist"), ("file", "is a file"), ("visa", "data prepare visa")):
        with pytest.raises(DataError, match=says):
            check(tmp_path / name)
