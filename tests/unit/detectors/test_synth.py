"""Drawn screws come from the seed alone, with exact masks, and are written whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import open_category
from ad_detectors.data.synth import category, make
from ad_detectors.data.synth.category import category_make
from ad_detectors.data.synth.contact import write_sheet
from ad_detectors.data.synth.flawed import draw_flawed
from ad_detectors.data.synth.flaws import KINDS
from ad_detectors.data.synth.picture import exposed, render
from ad_detectors.data.synth.scene import draw_scene
from ad_detectors.errors import DataError
from ad_detectors.metrics.ranking import auroc

SIZE = 64


def small(out: Path, **asked: Any) -> Path:
    make(out, **{"train": 2, "test_good": 1, "per_defect": 1, "size": SIZE, **asked})
    return out


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def screws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("made") / "drawn" / "screws", threads=1)


def test_a_category_opens_as_any_other_with_a_mask_for_every_defect(screws: Path) -> None:
    category = open_category(screws)
    assert (category.dataset, category.category) == ("drawn", "screws")
    assert len(category.train) == 2
    assert sorted({sample.defect for sample in category.test}) == sorted(["good", *KINDS])
    assert len(KINDS) >= 5
    for sample in category.test:
        with Image.open(sample.path) as picture:
            assert (picture.mode, picture.size) == ("RGB", (SIZE, SIZE))
        assert (sample.mask is not None) == (sample.label == 1)
        if sample.mask is not None:
            with Image.open(sample.mask) as drawn:
                assert (drawn.mode, drawn.size) == ("L", (SIZE, SIZE))
                assert set(np.unique(np.asarray(drawn))) == {0, 255}


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(screws: Path, tmp_path: Path) -> None:
    assert digests(small(tmp_path / "again", threads=5)) == digests(screws)


def test_another_seed_gives_other_pictures_and_no_scene_comes_twice(screws: Path, tmp_path: Path) -> None:
    def pictures(folder: Path) -> list[str]:
        return [digest for name, digest in digests(folder).items() if name.startswith(("train", "test"))]

    both = pictures(screws) + pictures(small(tmp_path / "other", seed=1, per_defect=0))
    assert len(set(both)) == len(both)


def test_a_smaller_order_gives_the_first_pictures_of_a_larger_one(screws: Path, tmp_path: Path) -> None:
    fewer = digests(small(tmp_path / "fewer", train=1, test_good=0, per_defect=0))
    pictures = {name: digest for name, digest in fewer.items() if name.endswith(".png")}
    assert list(pictures) == ["train/good/000.png"]
    assert pictures.items() <= digests(screws).items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_covers_what_the_defect_changed_and_nothing_else(kind: str) -> None:
    drawn = draw_flawed(category_make(3), kind, SIZE, np.random.default_rng(8))
    assert (drawn.flawed.shape, drawn.mask.shape) == ((SIZE, SIZE, 3), (SIZE, SIZE))
    change = np.abs(drawn.flawed.astype(int) - drawn.normal).max(axis=2)
    assert drawn.mask.any()
    assert change[drawn.mask].mean() > 10, "cannot be seen"
    # Outside: at most the shadow of what is missing, and the blur of the lens.
    outside = ~ndimage.binary_dilation(drawn.mask)
    assert (change[outside] <= 25).all()
    assert change[outside].mean() < 0.5
    assert drawn.mask.mean() < 0.1


@pytest.mark.slow
def test_neither_the_mean_picture_nor_brightness_tells_defects_from_normal_pictures() -> None:
    make_, random = category_make(0), np.random.default_rng(0)
    scenes = [draw_scene(make_, random) for _ in range(60)]
    normal = np.stack([exposed(render(scene, 128), scene) for scene in scenes]).astype(float)
    kinds = [kind for kind in KINDS for _ in range(5)]
    flawed = np.stack([draw_flawed(make_, kind, 128, random).flawed for kind in kinds]).astype(float)
    mean, unseen = normal[:30].mean(axis=0), normal[30:]
    labels = [0] * len(unseen) + [1] * len(flawed)
    both = np.concatenate([unseen, flawed])
    for score in (
        np.abs(both - mean).max(axis=(1, 2, 3)),
        both.mean(axis=(1, 2, 3)),
        both.max(axis=(1, 2, 3)),
        both.min(axis=(1, 2, 3)),
    ):
        assert 0.25 < auroc(score, labels) < 0.75


@pytest.mark.parametrize("size", [64, 96, 200])
def test_a_whole_screw_is_in_the_picture_at_any_size(size: int) -> None:
    random = np.random.default_rng(4)
    for _ in range(2):
        cover = render(draw_scene(category_make(1), random), size).cover
        assert 0.05 < cover.mean() < 0.16
        assert not cover[[0, -1]].any()
        assert not cover[:, [0, -1]].any()


def test_it_says_that_it_is_synthetic_in_files_that_are_no_part_of_the_data(
    screws: Path, tmp_path: Path
) -> None:
    assert "synthetic" in (screws / "README.txt").read_text()
    assert json.loads((screws / "synthetic.json").read_text())["order"]["seed"] == 0
    copy = tmp_path / "copy"
    shutil.copytree(screws, copy)
    for name in ("README.txt", "synthetic.json"):
        (copy / name).unlink()
    known = [fingerprint(folder, tmp_path / "known.json") for folder in (screws, copy)]
    assert known[0] == known[1]


def test_what_is_there_already_is_not_drawn_again_and_another_order_replaces_it(tmp_path: Path) -> None:
    out = small(tmp_path / "screws", per_defect=0)
    before = (out / "train/good/000.png").stat().st_ino
    small(out, per_defect=0)
    assert (out / "train/good/000.png").stat().st_ino == before
    small(out, per_defect=0, train=1, seed=2)
    assert sorted(path.name for path in (out / "train/good").iterdir()) == ["000.png"]
    (out / "train/good/000.png").unlink()
    small(out, per_defect=0, train=1, seed=2)
    assert (out / "train/good/000.png").exists(), "a file was missing and was not drawn again"
    assert [path.name for path in tmp_path.iterdir()] == ["screws"]


def foreign_file(out: Path) -> None:
    small(out, per_defect=0)
    (out / "train/good/mine.png").write_bytes(b"precious")


def foreign_folder(out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("precious")


def a_file(out: Path) -> None:
    out.write_text("precious")


def broken_note(out: Path) -> None:
    out.mkdir()
    (out / "synthetic.json").write_text("[]")


def a_link(out: Path) -> None:
    small(out.parent / "elsewhere", per_defect=0)
    out.symlink_to(out.parent / "elsewhere")


@pytest.mark.parametrize("put", [foreign_file, foreign_folder, a_file, broken_note, a_link])
def test_a_folder_that_holds_anything_else_is_left_alone(put: Callable[[Path], None], tmp_path: Path) -> None:
    out = tmp_path / "screws"
    put(out)
    before = digests(tmp_path)
    with pytest.raises(DataError, match="screws holds something else; name a folder that does not exist"):
        small(out, seed=5, per_defect=0)
    assert digests(tmp_path) == before


def test_an_interrupted_order_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "screws", train=4, per_defect=0, size=SIZE, threads=1, told=interrupted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size": 63}, "size = 63; a picture has 64 to 4096 pixels"),
        ({"seed": -1}, "seed = -1; a seed is 0 or more"),
        ({"train": 0}, "train = 0; ask for 1 to"),
        ({"per_defect": -1}, "per_defect = -1; ask for 0 to"),
    ],
)
def test_an_impossible_order_is_refused_in_one_line(asked: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        small(tmp_path / "screws", **asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_contact_sheet_shows_every_kind_of_defect(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.jpg", size=SIZE)
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width == 150 * len(KINDS)
    assert (tmp_path / "sheet.jpg").stat().st_size < 300_000


def test_drawing_that_is_interrupted_ends_at_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(*arguments: Any) -> Any:
        drawn.append(1)
        return render(*arguments)

    def interrupt(done: int, of: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(category, "render", counted)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "many", train=500, threads=1, told=interrupt)

    assert len(drawn) < 50
    assert list(tmp_path.iterdir()) == []


def test_a_fixture_holds_all_screws_alike_under_lights_that_stay() -> None:
    free, held = category_make(0), category_make(0, fixture=True)
    random = np.random.default_rng(1)
    scenes = [draw_scene(held, random) for _ in range(40)]
    angles = [scene.pose.angle for scene in scenes]
    assert 0.01 < max(angles) - min(angles) < 0.07  # radians
    assert max(abs(scene.pose.x - 0.5) for scene in scenes) < 0.011
    assert len({(scene.light.azimuth, scene.light.table) for scene in scenes}) == 1
    assert len({scene.pose.roll for scene in scenes}) == 40
    loose = [draw_scene(free, random).pose.angle for _ in range(40)]
    assert max(loose) - min(loose) > 3.0


def test_a_fixture_is_part_of_what_was_ordered(tmp_path: Path) -> None:
    folder = small(tmp_path / "screws", train=1, test_good=0, per_defect=0)
    free = digests(folder)
    small(folder, train=1, test_good=0, per_defect=0, fixture=True)
    assert digests(folder)["train/good/000.png"] != free["train/good/000.png"]
    small(folder, train=1, test_good=0, per_defect=0)
    assert digests(folder) == free
