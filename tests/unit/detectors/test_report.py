"""An evaluation's pictures: a gallery, curves and a histogram, or words where the data cannot show one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ad_detectors.api import Scores
from ad_detectors.data.images import TestImages
from ad_detectors.data.layout import Sample
from ad_detectors.evaluation import Evaluation, evaluate
from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.metrics.ranking import auroc
from ad_detectors.report import gallery
from ad_detectors.report.choosing import choose
from ad_detectors.report.curves import missing, tally
from ad_detectors.report.gallery import GAP, HEAD, PANEL, TITLE, Views, row
from ad_detectors.report.pictures import write_pictures
from ad_detectors.report.thresholds import Thresholds, thresholds_of
from evaluation_cases import fitted, held_out
from evaluation_cases import split as some_split
from gradual_mean import Config, GradualMean

CURVES = ("curves/pr.png", "curves/roc.png", "histogram.png")
PARTS = ("cases.zip", "curves/pixels.json")  # for pages made later


class Rebuilds(GradualMean):
    """Shows grey pictures as its reconstructions."""

    def reconstruct(self, images: Tensor) -> Tensor:
        return torch.full_like(images, 90)


class Blind(GradualMean):
    """Has no anomaly maps."""

    def score(self, images: Tensor) -> Scores:
        return Scores(super().score(images).images)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 10)


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    return fitted()


def like(kind: type[GradualMean], detector: GradualMean) -> GradualMean:
    made = kind(Config())
    made.restore(detector.state())
    return made


def split(normal: int = 5, cut: int = 4, drawn: bool = True) -> TestImages:
    """Return a test split, which may lack good ones or defects altogether."""
    whole = some_split(drawn, max(normal, 1), {"cut": max(cut, 1)})
    kept = [i for i, label in enumerate(whole.labels) if (cut if label else normal)]
    samples = [Sample(Path(whole.paths[i]), whole.paths[i], whole.defects[i], None) for i in kept]
    return TestImages(samples, whole.batch(kept).numpy(), whole.masks(kept))


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def shown(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def results(normal: Sequence[float], anomalous: Sequence[float]) -> list[ImageResult]:
    return [
        *(ImageResult(f"test/good/{n}.png", 0, "good", score) for n, score in enumerate(normal)),
        *(ImageResult(f"test/cut/{n}.png", 1, "cut", score) for n, score in enumerate(anomalous)),
    ]


def test_every_picture_is_written_the_same_bytes_each_time(detector: GradualMean, tmp_path: Path) -> None:
    test, told = split(cut=5), []
    found = evaluate(detector, test, calibration=held_out(4))
    for name in ("one", "other"):
        write_pictures(found, tmp_path / name, detector, test, "it", lambda *at: told.append(at))
    one = files(tmp_path / "one")
    assert one == files(tmp_path / "other")
    assert told == [(8, 9), (9, 9)] * 2
    rows = [name for name in one if name.startswith("gallery/") and name.endswith(".png")]
    assert len(rows) == 9
    assert set(one) == {*rows, *CURVES, *PARTS, "gallery/about.txt"}
    for name in [*rows, *CURVES]:
        picture = shown(tmp_path / "one" / name)
        assert min(picture.shape[:2]) > 200
        assert len(np.unique(picture)) > 5
    about = one["gallery/about.txt"].decode()
    assert "threshold by 4 calibration images: at most 20 % false alarms" in about


def test_a_row_shows_input_reconstruction_map_overlay_and_mask_side_by_side() -> None:
    image = np.full((32, 32, 3), (200, 30, 30), np.uint8)
    rebuilt = np.full((32, 32, 3), (30, 200, 30), np.uint8)
    anomaly_map = np.zeros((32, 32), np.float32)
    anomaly_map[:16] = 3.0
    mask = np.zeros((32, 32), bool)
    mask[:16] = True
    (choice,) = choose(results([], [3.0]), 1.0)
    drawn = row(choice, Views(image, rebuilt, anomaly_map, mask), Thresholds(1.0, 1.0, "as told", True))
    pixels = np.asarray(drawn).astype(int)
    assert pixels.shape[1] == 5 * (PANEL + GAP) + GAP

    def at(panel: int, high: bool) -> tuple[int, int, int]:
        down = HEAD + TITLE + (PANEL // 4 if high else 3 * PANEL // 4)
        red, green, blue = pixels[down, GAP + panel * (PANEL + GAP) + PANEL // 2]
        return int(red), int(green), int(blue)

    assert (at(0, True), at(1, True)) == ((200, 30, 30), (30, 200, 30))
    for panel in (2, 3):  # map and overlay are red above the threshold, and nowhere else
        warm, calm = at(panel, True), at(panel, False)
        assert warm[0] > max(warm[1:]) + 50
        assert calm[0] <= max(calm[1:])
    assert (at(4, True), at(4, False)) == ((255, 255, 255), (0, 0, 0))


def test_what_there_is_not_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    place = gallery._place

    def heard(canvas: object, draw: object, picture: object, corner: object) -> None:
        if isinstance(picture, str):
            said.append(picture.replace("\n", " "))
        place(canvas, draw, picture, corner)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery, "_place", heard)
    image = np.zeros((8, 8, 3), np.uint8)
    thresholds = Thresholds(None, None, "no threshold", False)
    for choice in choose(results([1.0], [2.0]), None):
        row(choice, Views(image, None, None, None), thresholds)
    blind = "this detector makes no anomaly maps"
    assert said == [blind, "nobody drew this defect", blind, "a good one: there is no defect"]


def test_a_detector_that_rebuilds_pictures_shows_them(detector: GradualMean, tmp_path: Path) -> None:
    rebuilds, test = like(Rebuilds, detector), split(normal=1, cut=1)
    found = evaluate(rebuilds, test)
    write_pictures(found, tmp_path / "with", rebuilds, test, "it")
    write_pictures(found, tmp_path / "without", detector, test, "it")
    widths = [
        shown(next((tmp_path / name / "gallery").glob("*.png"))).shape[1] for name in ("with", "without")
    ]
    assert widths[0] - widths[1] == PANEL + GAP


def test_a_detector_without_maps_has_its_pictures_too(detector: GradualMean, tmp_path: Path) -> None:
    blind, test = like(Blind, detector), split(drawn=False)
    found = evaluate(blind, test, calibration=held_out(2))
    write_pictures(found, tmp_path, blind, test, "it")
    assert len(list((tmp_path / "gallery").glob("*.png"))) == 9


@pytest.mark.parametrize("normal", [0, 3])
def test_one_class_alone_gives_words_instead_of_curves(
    detector: GradualMean, tmp_path: Path, normal: int
) -> None:
    test = split(normal=normal, cut=0 if normal else 2)
    found = evaluate(detector, test)
    write_pictures(found, tmp_path, detector, test, "it")
    assert set(CURVES) < set(files(tmp_path))
    assert missing(list(found.images)) == (
        "n/a: there are no anomalous test images" if normal else "n/a: there are no normal test images"
    )


def test_without_any_test_image_the_gallery_says_so_and_the_histogram_shows_what_was_held_out(
    detector: GradualMean, tmp_path: Path
) -> None:
    found = evaluate(detector, None, validation=held_out(3), calibration=held_out(4))
    write_pictures(found, tmp_path, detector, None, "it")
    assert set(files(tmp_path)) == {*CURVES, *PARTS, "gallery/about.txt"}
    assert (tmp_path / "gallery" / "about.txt").read_text() == "There are no test images to show.\n"


def test_pictures_have_names_that_any_disk_takes(detector: GradualMean, tmp_path: Path) -> None:
    test = split(normal=1, cut=1)
    found = evaluate(detector, test)
    odd = replace(found.images[0], path=f"test/{'long' * 30}/$a: b\u00e9\u4e2d?.png", defect="a/$b^{c}")
    found = replace(found, images=(odd, *found.images[1:]))
    write_pictures(found, tmp_path, detector, test, "$x^{y}$ of it")
    names = [path.name for path in (tmp_path / "gallery").glob("*.png")]
    assert all(name.isascii() and len(name) < 120 for name in names)


class TestThresholds:
    """The line between calm and anomalous, and what it is."""

    def test_calibration_fixes_it(self, detector: GradualMean) -> None:
        found = evaluate(detector, split(), calibration=held_out(4))
        assert found.operating is not None
        line = thresholds_of(found)
        assert (line.score, line.map) == (found.operating.threshold, found.operating.map_threshold)
        assert line.by_calibration
        uncertified = replace(found, operating=replace(found.operating, certified=False))
        assert "certifies no rate" in thresholds_of(uncertified).words

    def test_without_calibration_normal_images_stand_in_and_it_is_said(self, detector: GradualMean) -> None:
        found = evaluate(detector, split(), validation=held_out(3))
        line = thresholds_of(found)
        assert line.score == max(each.score for each in found.images if not each.label)
        assert line.map == max(each.map_max or 0 for each in found.images if not each.label)
        assert not line.by_calibration
        assert line.words == (
            "no threshold (nothing was held out to calibrate on): "
            "the highest of 5 normal test images stands in for it"
        )
        assert "3 normal validation images" in thresholds_of(replace(found, images=())).words

    def test_without_normal_images_there_is_no_decision_and_half_of_the_highest_value_anchors_colours(
        self, detector: GradualMean
    ) -> None:
        found = evaluate(detector, split(normal=0))
        line = thresholds_of(found)
        assert line.score is None
        assert line.map == max(each.map_max or 0 for each in found.images) / 2
        nothing = thresholds_of(Evaluation(images=(), metrics={}))
        assert (nothing.score, nothing.map) == (None, None)


def test_the_area_under_the_curve_that_is_drawn_is_the_auroc_ties_included() -> None:
    images = results([0.1, 0.2, 0.2, 0.5, 0.7], [0.2, 0.5, 0.5, 0.9])
    counted = tally(images)
    area = float(np.trapezoid(counted.recall, counted.false_alarms))
    assert area == pytest.approx(auroc([each.score for each in images], [each.label for each in images]))
    assert counted.precision[0] == 1.0
    assert counted.precision[-1] == pytest.approx(4 / 9)
