"""The layout reader finds what people have on disk and says what is wrong when it does not."""

import os
from pathlib import Path

import pytest

from ad_detectors.data.fingerprint import fingerprint
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


def test_btad_is_read_as_it_ships(tmp_path: Path) -> None:
    folder = tmp_path / "btad" / "03"
    put(folder, "train/ok/0.bmp", "test/ok/0.bmp", "test/ko/1.bmp", "test/ko/2.bmp", "test/ko/3.jpg")
    put(folder, "ground_truth/ko/1.bmp", "ground_truth/ko/2.png", "ground_truth/ok/0.bmp")
    category = open_category(folder)
    assert [(s.name, s.label) for s in category.train] == [("train/ok/0.bmp", 0)]
    assert [(s.name, s.defect, s.label, s.mask and s.mask.name) for s in category.test] == [
        ("test/ko/1.bmp", "ko", 1, "1.bmp"),
        ("test/ko/2.bmp", "ko", 1, "2.png"),
        ("test/ko/3.jpg", "ko", 1, None),
        ("test/ok/0.bmp", "good", 0, None),
    ]


def test_ok_is_a_defect_like_any_other_where_good_is_what_normal_pictures_are_called(tmp_path: Path) -> None:
    put(tmp_path, "train/good/0.png", "train/ok/0.png", "test/ok/0.png")
    category = open_category(tmp_path)
    assert [sample.name for sample in category.train] == ["train/good/0.png"]
    assert [sample.defect for sample in category.test] == ["ok"]


@pytest.mark.parametrize("named", ["visa", "visa/candle"])
def test_visa_as_published_is_an_error_that_names_what_prepares_it(tmp_path: Path, named: str) -> None:
    put(tmp_path / "visa", "split_csv/1cls.csv", "candle/Data/Images/Normal/0.JPG", "candle/image_anno.csv")
    with pytest.raises(DataError, match=f"data prepare visa {tmp_path / 'visa'} OUT"):
        open_category(tmp_path / named)


@pytest.mark.parametrize("suffix", ["png", "PNG", "jpg", "bmp", "Tiff"])
def test_a_mask_may_be_of_any_format(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, "train/good/0.png", "test/cut/a.JPG", f"ground_truth/cut/a_mask.{suffix}")
    assert [sample.mask and sample.mask.suffix for sample in open_category(tmp_path).test] == [f".{suffix}"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["test/cut/a.png", "test/cut/a.jpg", "ground_truth/cut/a_mask.png"], "share the mask"),
        (["test/cut/a.png", "ground_truth/cut/a.png", "ground_truth/cut/a.bmp"], "masks of one picture"),
    ],
)
def test_it_must_be_clear_which_mask_is_whose(tmp_path: Path, names: list[str], says: str) -> None:
    put(tmp_path, "train/good/0.png", *names)
    with pytest.raises(DataError, match=says):
        open_category(tmp_path)


def test_what_is_named_like_a_picture_and_is_no_file_is_not_left_out_in_silence(tmp_path: Path) -> None:
    put(tmp_path, "train/good/0.png", "train/good/folder.png/1.png")
    assert len(open_category(tmp_path).train) == 1
    link = tmp_path / "train/good/link.png"
    link.symlink_to("../moved/away.png")
    with pytest.raises(DataError, match=r"link\.png is a link that leads nowhere; remove it"):
        open_category(tmp_path)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(DataError, match=r"link\.png is a pipe or a device"):
        open_category(tmp_path)
    with pytest.raises(DataError, match=r"link\.png is a pipe or a device"):
        fingerprint(tmp_path)
    link.unlink()
    link.symlink_to(link.name)
    with pytest.raises(DataError, match=r"link\.png"):
        open_category(tmp_path)


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


def test_folders_beside_the_normal_training_pictures_are_labelled_defects_and_not_learnt_as_normal(
    tmp_path: Path,
) -> None:
    put(tmp_path, "train/good/0.png", "train/cut/1.png", "train/bent/2.png", "test/cut/3.png")
    category = open_category(tmp_path)
    assert [sample.name for sample in category.train] == ["train/good/0.png"]
    found = [(sample.name, sample.defect, sample.label) for sample in category.anomalous]
    assert found == [("train/bent/2.png", "bent", 1), ("train/cut/1.png", "cut", 1)]
