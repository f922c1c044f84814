"""Whatever a file's mode, depth or orientation, a detector sees the same RGB; bad files are named early."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ad_detectors.data import decoding, images
from ad_detectors.data.images import CachedImages, TestImages
from ad_detectors.data.layout import Category, open_category
from ad_detectors.data.resizing import anomalous_of, at_size
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import DataError
from ad_workers.reading import Counted


def ramp(height: int = 6, width: int = 8) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def put(path: Path, array: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


@pytest.fixture
def category(tmp_path: Path) -> Category:
    folder = tmp_path / "data" / "nut"
    for index in range(3):
        put(folder / f"train/good/{index}.png", ramp() + np.uint8(index))
    put(folder / "test/good/0.png", ramp())
    for index in range(2):
        put(folder / f"test/cut/{index}.png", ramp())
    drawn = np.zeros((12, 16), np.uint8)
    drawn[:6, :8] = 255
    put(folder / "ground_truth/cut/0_mask.png", drawn)
    return open_category(folder)


def train(category: Category, cache: Path, size: int = 4) -> CachedImages:
    return images.train_images(category, size, cache, "f" * 64)


def evaluated(category: Category, cache: Path, size: int = 4) -> TestImages:
    return images.test_images(category, size, cache, "f" * 64)


def test_a_batch_is_the_resized_rgb_of_its_files_in_order(category: Category, tmp_path: Path) -> None:
    served = train(category, tmp_path / "cache")
    assert (len(served), served.size) == (3, (4, 4))
    assert served.paths == ["train/good/0.png", "train/good/1.png", "train/good/2.png"]
    batch = served.batch([2, 0])
    assert (batch.dtype, tuple(batch.shape)) == (torch.uint8, (2, 3, 4, 4))
    with Image.open(category.train[2].path) as image:
        expected = np.asarray(image.resize((4, 4), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(batch[0].numpy(), expected)
    batch.zero_()
    assert served.batch([2])[0].any(), "a caller must not be able to change the cache"


def test_a_second_opening_decodes_nothing(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(category, tmp_path / "cache").batch([0, 1, 2])
    monkeypatch.setattr(decoding, "picture", lambda *_: pytest.fail("decoded again"))
    assert torch.equal(train(category, tmp_path / "cache").batch([0, 1, 2]), first)


def test_each_size_split_and_choice_of_files_has_a_cache_of_its_own(
    category: Category, tmp_path: Path
) -> None:
    everything, cache = train(category, tmp_path / "cache"), tmp_path / "cache"
    assert train(category, cache, size=2).size == (2, 2)
    swapped = Category("data", "nut", category.path, [category.train[2], category.train[1]])
    first = Category("data", "nut", category.path, category.train[:2])
    assert torch.equal(train(first, cache).batch([0]), everything.batch([0]))
    assert torch.equal(train(swapped, cache).batch([0]), everything.batch([2]))


def test_the_parts_of_a_split_are_views_of_one_file(tmp_path: Path) -> None:
    folder, cache, given = tmp_path / "data" / "nut", tmp_path / "cache", ("f" * 64, Holdout(0.2, 0.1))
    for index in range(10):
        put(folder / f"train/good/{index}.png", np.full((4, 4, 3), index, np.uint8))
    category = open_category(folder)
    parts = [
        images.train_images(category, 4, cache, *given),
        images.validation_images(category, 4, cache, *given),
        images.calibration_images(category, 4, cache, *given),
    ]
    assert [len(part) for part in parts] == [7, 2, 1]
    for part in parts:
        shown = part.batch(range(len(part)))[:, 0, 0, 0].tolist()
        assert part.paths == [f"train/good/{value}.png" for value in shown]
    assert len(images.train_images(category, 4, cache, "f" * 64)) == 10
    assert len(list(cache.rglob("*.npy"))) == 1


def test_a_part_may_hold_no_pictures(category: Category, tmp_path: Path) -> None:
    served = images.validation_images(category, 4, tmp_path / "cache", "f" * 64, Holdout())
    assert (len(served), served.paths, tuple(served.batch([]).shape)) == (0, [], (0, 3, 4, 4))


@pytest.mark.parametrize("broken", ["empty", "cut", "junk"])
def test_a_cache_that_is_not_whole_is_made_again(category: Category, tmp_path: Path, broken: str) -> None:
    whole = train(category, tmp_path / "cache").batch([0, 1, 2])
    (file,) = (tmp_path / "cache").rglob("*.npy")
    content = file.read_bytes()
    file.write_bytes({"empty": b"", "cut": content[:-10], "junk": b"x" * len(content)}[broken])
    assert torch.equal(train(category, tmp_path / "cache").batch([0, 1, 2]), whole)


def test_a_failure_half_way_leaves_no_cache_behind(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    category.train[2].path.write_bytes(category.train[2].path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"train/good/2\.png"):
        train(category, tmp_path / "cache")
    left = [file for file in (tmp_path / "cache").rglob("*") if file.is_file() and file.suffix != ".lock"]
    assert left == []


def test_test_images_come_with_labels_defects_and_binary_masks(category: Category, tmp_path: Path) -> None:
    served = evaluated(category, tmp_path / "cache")
    assert served.labels == [1, 1, 0]
    assert served.defects == ["cut", "cut", "good"]
    assert served.has_mask == [True, False, True]
    masks = served.masks([0, 1, 2])
    assert (masks.dtype, masks.shape) == (np.bool_, (3, 4, 4))
    assert np.array_equal(masks[0], np.kron([[1, 0], [0, 0]], np.ones((2, 2))))
    assert not masks[1:].any()


def test_a_category_without_test_pictures_says_so(category: Category, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no test pictures"):
        evaluated(Category("data", "nut", category.path, category.train), tmp_path)


def test_labelled_defects_come_along_for_who_asks_and_those_of_the_test_never(
    category: Category, tmp_path: Path
) -> None:
    put(category.path / "train/cut/9.png", ramp() + np.uint8(90))
    opened, cache = open_category(category.path), tmp_path / "cache"
    plain = images.train_images(opened, 4, cache, "f" * 64, Holdout(0.34, 0.0))
    served = images.train_images(opened, 4, cache, "f" * 64, Holdout(0.34, 0.0), labels=True)
    assert plain.anomalous is None
    assert served.paths == plain.paths
    assert served.anomalous is not None
    assert served.anomalous.paths == ["train/cut/9.png"]
    assert anomalous_of(Counted(at_size(served, 8))).batch([0]).shape == (1, 3, 8, 8)
    assert anomalous_of(Counted(at_size(plain, 8))) is None
    (category.path / "train/cut/9.png").unlink()
    assert (
        images.train_images(open_category(category.path), 4, cache, "e" * 64, labels=True).anomalous is None
    )
