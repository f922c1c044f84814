"""The layout reader finds what people have on disk and says what is wrong when it does not."""

from pathlib import Path

import pytest

from ad_detectors.data.layout import open_category
from ad_detectors.errors import DataError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_category_is_named_by_its_folder_and_its_dataset_by_the_folder_above(tmp_path: Path) -> None:
    folder = tmp_path / "mvtec" / "screw"
    put(folder, "train/good/b.PNG", "train/good/a.jpg", "test/good/0.png", "test/bent/1.TIF")
    category = open_category(folder)
    assert (category.dataset, category.category, category.path) == ("mvtec", "screw", folder)
    assert [sample.name for sample in category.train] == ["train/good/a.jpg", "train/good/b.PNG"]
    assert [(s.name, s.defect, s.label) for s in category.test] == [
        ("test/bent/1.TIF", "bent", 1),
        ("test/good/0.png", "good", 0),
    ]


def test_every_suffix_counts_in_any_case_and_nothing_else_does(tmp_path: Path) -> None:
    wanted = ["a.jpg", "b.JPEG", "c.png", "d.Bmp", "e.tif", "f.TIFF"]
    put(tmp_path, *(f"train/good/{n}" for n in [*wanted, "g.txt", "._a.jpg", "Thumbs.db", ".DS_Store"]))
    assert [sample.path.name for sample in open_category(tmp_path).train] == wanted


def test_a_mask_is_found_by_either_naming_and_a_defect_without_one_is_allowed(tmp_path: Path) -> None:
    put(tmp_path, "train/good/0.png", "test/cut/a.png", "test/cut/b.jpg", "test/cut/c.png", "test/good/d.png")
    put(tmp_path, "ground_truth/cut/a_mask.png", "ground_truth/cut/b.png", "ground_truth/good/d_mask.png")
    masks = {s.path.name: s.mask and s.mask.name for s in open_category(tmp_path).test}
    assert masks == {"a.png": "a_mask.png", "b.jpg": "b.png", "c.png": None, "d.png": None}


def test_a_plain_folder_of_pictures_is_training_data_without_a_test(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "0.png")
    category = open_category(tmp_path)
    assert [sample.name for sample in category.train] == ["0.png", "1.png"]
    assert category.test == []


@pytest.mark.parametrize(
    ("names", "named", "says"),
    [
        ([], "", "holds no pictures"),
        (["test/good/0.png"], "", "has no train/good/"),
        (["train/bad/0.png"], "", "has no train/good/"),
        (["train/good/notes.txt"], "train/good", "holds no pictures"),
        (["screw/train/good/0.png"], "", "such as screw"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named_with_the_layout_expected(
    tmp_path: Path, names: list[str], named: str, says: str
) -> None:
    put(tmp_path, *names)
    with pytest.raises(DataError) as caught:
        open_category(tmp_path)
    assert str(tmp_path / named) in str(caught.value)
    assert says in str(caught.value)
    assert "expected train/good/" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    put(tmp_path, "file.png")
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_category(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"file\.png is a file, not a folder"):
        open_category(tmp_path / "file.png")
