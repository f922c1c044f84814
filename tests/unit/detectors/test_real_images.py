"""Real categories are read whole: every picture, every mask, at the size asked for."""

from pathlib import Path

import pytest

from ad_detectors.data.check import check
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.images import test_images as open_test_images
from ad_detectors.data.layout import open_category


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "train", "normal", "defects"),
    [
        (
            "mvtec/bottle",
            209,
            20,
            {"broken_large": 20, "broken_small": 22, "contamination": 21},
        ),
        (
            "mtd/magnetic_tile",
            762,
            190,
            {"blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 103},
        ),
    ],
)
def test_a_real_category_is_found_whole(
    real_data: Path, path: str, train: int, normal: int, defects: dict[str, int]
) -> None:
    category = open_category(real_data / path)
    found = dict.fromkeys(sorted({sample.defect for sample in category.test}), 0)
    for sample in category.test:
        found[sample.defect] += 1
        assert (sample.mask is not None) == (sample.label == 1)
    assert (category.dataset, len(category.train)) == (path.partition("/")[0], train)
    assert found == {**defects, "good": normal}


@pytest.mark.data
def test_a_check_has_nothing_to_say_of_a_benchmark(real_data: Path) -> None:
    (report,) = check(real_data / "mvtec" / "bottle")
    assert report.findings == ()
    assert report.train == 209
    assert [(one.name, one.pictures, one.masks) for one in report.test if one.masks] == [
        ("broken_large", 20, 20),
        ("broken_small", 22, 22),
        ("contamination", 21, 21),
    ]


@pytest.mark.data
def test_real_masks_mark_some_pixels_of_every_defect_and_none_of_normal_pictures(
    real_data: Path, tmp_path: Path
) -> None:
    category = open_category(real_data / "mvtec" / "bottle")
    known = fingerprint(category.path, tmp_path / "fingerprints.json")
    test = open_test_images(category, 64, tmp_path, known)
    marked = test.masks(range(len(test))).any((1, 2)).tolist()
    assert marked == [bool(label) for label in test.labels]
    assert all(test.has_mask)
