"""What an evaluation keeps for pages made later: pictures of the worst cases, and curves of pixels."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.errors import DataError
from ad_detectors.evaluation import evaluate
from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.outcome import Evaluation
from ad_detectors.report import cases, pixel_curves
from ad_detectors.report.choosing import Choice, choose
from ad_detectors.report.gallery import Views
from ad_detectors.report.thresholds import Thresholds, thresholds_of
from evaluation_cases import fitted, held_out, split

LINE = Thresholds(1.0, 1.0, "threshold by hand", True)


def chosen(count: int, side: int = 32, noise: bool = False) -> list[tuple[Choice, Views]]:
    """Return so many missed cuts; of noise, which no format makes small."""
    results = [ImageResult(f"test/cut/{n}.png", 1, "cut", n / 100, map_max=2.0) for n in range(count)]
    draw = np.random.default_rng(1)
    image = np.full((side, side, 3), (200, 30, 30), np.uint8)
    if noise:
        image = draw.integers(0, 256, (side, side, 3), np.uint8)
    values = np.zeros((side, side), np.float32)
    values[: side // 2] = 1.5
    mask = values > 1
    return [(choice, Views(image, image, values, mask)) for choice in choose(results, 1.0)]


def read(folder: Path) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(folder / cases.NAME) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop(cases.INDEX)), files


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_each_thing_there_is_to_see_is_a_picture_of_its_own(tmp_path: Path) -> None:
    cases.write(chosen(2), LINE, tmp_path)
    index, files = read(tmp_path)
    first = index["cases"][0]
    assert (first["path"], first["outcome"], first["defect"]) == ("test/cut/0.png", "missed", "cut")
    assert (first["score"], first["map_max"], first["size"]) == (0.0, 2.0, [32, 32])
    assert list(first["pictures"]) == ["input", "reconstruction", "map", "overlay", "mask"]
    assert first["absent"] == {}
    assert set(files) == {
        "scale.webp",
        *(name for each in index["cases"] for name in each["pictures"].values()),
    }
    red = pixels(files[first["pictures"]["input"]]).astype(int)
    assert abs(red[16, 16] - (200, 30, 30)).max() < 12
    heat = pixels(files[first["pictures"]["map"]]).astype(int)
    assert heat[4, 16, 0] > heat[4, 16, 2] + 50  # above the threshold red
    assert heat[28, 16, 0] < heat[28, 16, 2]  # and below it blue
    mask = pixels(files[first["pictures"]["mask"]])
    assert set(np.unique(mask[:16])) == {255}
    assert set(np.unique(mask[16:])) == {0}
    assert (index["scale"]["low"], index["scale"]["anchor"], index["scale"]["high"]) == (0.0, 1.0, 2.0)


def test_what_there_is_not_has_a_reason(tmp_path: Path) -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    good = ImageResult("test/good/0.png", 0, "good", 0.1)
    blind = Views(image, None, None, None)
    cases.write(
        [(choice, blind) for choice in choose([good], None)], Thresholds(None, None, "", False), tmp_path
    )
    index, files = read(tmp_path)
    assert list(files) == ["00-input.webp"]
    assert index["scale"] is None
    assert index["cases"][0]["absent"] == {
        "reconstruction": "this detector rebuilds no pictures",
        "map": "this detector makes no anomaly maps",
        "overlay": "this detector makes no anomaly maps",
        "mask": "a good one: there is no defect",
    }


def test_pictures_of_noise_become_smaller_until_all_fit(tmp_path: Path) -> None:
    some = chosen(24, 256, noise=True)
    cases.write(some, LINE, tmp_path)
    index, files = read(tmp_path)
    assert len(index["cases"]) == 24
    assert sum(map(len, files.values())) < cases.BUDGET * 1.02
    assert pixels(files[index["cases"][0]["pictures"]["input"]]).shape[0] < 256


def test_the_same_pictures_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        cases.write(chosen(3), LINE, tmp_path / name)
    assert (tmp_path / "one" / cases.NAME).read_bytes() == (tmp_path / "other" / cases.NAME).read_bytes()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*cases\.zip"):
        cases.write([], LINE, tmp_path / "missing")


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    return evaluate(fitted(), split(), calibration=held_out(4))


def test_the_area_under_the_kept_points_is_the_measured_one(evaluated: Evaluation, tmp_path: Path) -> None:
    pixel_curves.write(evaluated, split(), thresholds_of(evaluated).map, tmp_path)
    told = json.loads((tmp_path / pixel_curves.NAME).read_text())
    pro = np.array(told["pro"])
    assert pro[-1][0] == pixel_curves.LIMIT
    area = np.trapezoid(pro[:, 1], pro[:, 0]) / pixel_curves.LIMIT
    assert area == pytest.approx(evaluated.metrics["aupro_30"], abs=0.01)
    # An independent count of what the threshold flags.
    line, test = thresholds_of(evaluated).map, split()
    assert line is not None
    assert evaluated.maps is not None
    flagged = np.stack([each.numpy() for each in evaluated.maps]) > line
    masks = test.masks(range(len(test)))
    false, recall = flagged[~masks].mean(), flagged[masks].mean()
    assert told["threshold"]["pro"][0] == pytest.approx(false)
    assert told["threshold"]["precision_recall"][0] == pytest.approx(recall)
    assert 0 <= told["threshold"]["pro"][1] <= 1


def test_without_masks_there_are_no_curves_of_pixels(tmp_path: Path) -> None:
    test = split(drawn=False)
    found = evaluate(fitted(), test, calibration=held_out(4))
    pixel_curves.write(found, test, thresholds_of(found).map, tmp_path)
    assert (tmp_path / pixel_curves.NAME).read_text() == "null\n"


@pytest.mark.parametrize("error", [0.002, 0.05])
def test_a_thinned_curve_stays_within_its_error(error: float) -> None:
    x = np.linspace(0, 1, 2000)
    y = np.sqrt(x)
    kept = np.array(pixel_curves.thinned(x, y, error))
    assert len(kept) < 60
    assert kept[0].tolist() == [0, 0]
    assert kept[-1].tolist() == [1, 1]
    steep = x > 0.05  # where a distance along y is about one across the line
    assert np.abs(np.interp(x, kept[:, 0], kept[:, 1]) - y)[steep].max() < 3 * error


def test_points_of_one_place_become_one_line(tmp_path: Path) -> None:
    same: Sequence[float] = [0.5] * 10
    assert pixel_curves.thinned(same, same) == [[0.5, 0.5], [0.5, 0.5]]
