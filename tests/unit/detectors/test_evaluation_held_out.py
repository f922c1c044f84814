"""Normal pictures held out of training are measured apart: with synthetic defects, without the test split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ad_detectors import checkpoint
from ad_detectors.api import Scores
from ad_detectors.data.defects import KINDS
from ad_detectors.data.layout import Category, open_category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import ConfigError, DataError, StateError
from ad_detectors.evaluation import (
    OperatingPoint,
    PartialEvaluation,
    evaluate,
    operating_file,
    split_images,
    write_results,
)
from ad_detectors.metrics.ranking import auroc
from ad_detectors.testing import pictures
from evaluation_cases import fitted, held_out, split
from gradual_mean import Config, GradualMean

VALIDATION = ("image_auroc", "image_ap", "pixel_auroc", "aupro_30", "saturated", "ties")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 40)


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    return fitted()


def test_held_out_pictures_are_measured_against_their_own_synthetic_defects(
    detector: GradualMean, tmp_path: Path
) -> None:
    found = evaluate(detector, split(), validation=held_out(3), calibration=held_out(4, seed=9))
    assert tuple(found.validation) == VALIDATION
    validation = [image for image in found.held_out if image.split == "validation"]
    assert [image.defect for image in validation[:3]] == ["good"] * 3
    assert {image.defect for image in validation[3:]} <= set(KINDS)
    assert len(validation) == 3 + 2 * 3
    scores, labels = [image.score for image in validation], [image.label for image in validation]
    assert found.validation["image_auroc"] == auroc(np.array(scores, np.float32), labels)
    assert 0.0 < found.validation["pixel_auroc"] <= 1.0  # type: ignore[operator]
    calibration = [image for image in found.held_out if image.split == "calibration"]
    expected = detector.score(held_out(4, seed=9).batch(range(4))).images.tolist()
    assert [image.score for image in calibration] == expected
    write_results(found, tmp_path, "nut")
    splits = [line.split(",")[4] for line in (tmp_path / "scores.csv").read_text().splitlines()[1:]]
    assert splits == ["test"] * 9 + ["validation"] * 9 + ["calibration"] * 4


def test_nothing_of_the_test_split_reaches_the_measures_of_validation(detector: GradualMean) -> None:
    one = evaluate(detector, split(), validation=held_out(3), calibration=held_out(2))
    other = evaluate(
        detector, split(normal=2, defects={"hole": 7}), validation=held_out(3), calibration=held_out(2)
    )
    none = evaluate(detector, None, validation=held_out(3), calibration=held_out(2))
    assert one.validation == other.validation == none.validation
    assert one.held_out == other.held_out == none.held_out
    assert one.images != other.images


def test_without_a_test_split_its_measures_are_none(detector: GradualMean, tmp_path: Path) -> None:
    found = evaluate(detector, None, validation=held_out(2))
    assert set(found.metrics) == set(evaluate(detector, split()).metrics)
    assert set(found.metrics.values()) == {None}
    assert (found.images, found.maps, found.intervals, found.defects) == ((), None, {}, {})
    assert {name.partition("/")[0] for name in found.flat()} == {"test", "validation"}
    write_results(found, tmp_path, "nut")
    assert (tmp_path / "results.csv").read_text().count("\n") == 2
    with pytest.raises(DataError, match="no pictures to evaluate on"):
        evaluate(detector, None)


def test_saturation_and_ties_are_told(detector: GradualMean) -> None:
    class Says(GradualMean):
        """Knows a spoilt picture by not having seen it."""

        def score(self, images: torch.Tensor) -> Scores:
            known = {bytes(image.numpy()) for image in held_out(2).batch(range(2))}
            worst = self.config.gain
            return Scores(torch.tensor([0.0 if bytes(i.numpy()) in known else worst for i in images]))

    perfect = evaluate(Says(Config(gain=1.0)), None, validation=held_out(2)).validation
    assert (perfect["image_auroc"], perfect["saturated"], perfect["ties"]) == (1.0, 1.0, 0.0)
    assert perfect["pixel_auroc"] is None
    blind = evaluate(Says(Config(gain=0.0)), None, validation=held_out(2)).validation
    assert (blind["image_auroc"], blind["saturated"], blind["ties"]) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("stop_at", [2, 5, 8])
def test_an_evaluation_stopped_among_held_out_pictures_goes_on_to_the_same_end(
    detector: GradualMean, tmp_path: Path, stop_at: int
) -> None:
    class Stopped(Exception):
        pass

    partial, reports = PartialEvaluation(), []

    def report(step: int, of: int) -> None:
        reports.append((step, of))
        if step == stop_at and not again:
            raise Stopped

    def run(done: PartialEvaluation | None = None):
        return evaluate(
            detector, split(), report, 4, done, validation=held_out(5), calibration=held_out(2, seed=9)
        )

    again = False
    with pytest.raises(Stopped):
        run(partial)
    checkpoint.save(partial.state(), tmp_path)
    again = True
    rest = run(PartialEvaluation.restore(checkpoint.load(tmp_path), tmp_path))
    assert reports == [(step, 10) for step in range(1, 11)]
    whole = run()
    assert (rest.images, rest.held_out) == (whole.images, whole.held_out)
    assert (rest.metrics, rest.validation) == (whole.metrics, whole.validation)


def test_other_pictures_or_batches_are_not_gone_on_with(detector: GradualMean) -> None:
    partial = PartialEvaluation()
    evaluate(detector, split(), done=partial, validation=held_out(2))
    for changed in (
        {"validation": held_out(3)},
        {"validation": None},
        {"validation": held_out(2), "batch": 4},
    ):
        with pytest.raises(StateError, match="evaluate anew"):
            evaluate(detector, split(), done=partial, **changed)


def test_pictures_too_small_for_a_synthetic_defect_are_scored_all_the_same(detector: GradualMean) -> None:
    class Small:
        size, paths = (8, 8), ["train/good/0.png"]

        def __len__(self) -> int:
            return 1

        def batch(self, indices: object) -> torch.Tensor:
            return pictures(1, 8)

    found = evaluate(detector, None, validation=Small())
    assert len(found.held_out) == 1
    assert found.validation["image_auroc"] is None


def test_the_time_for_a_picture_leaves_out_the_first_batch(
    detector: GradualMean, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, 50.0, 100.0, 100.4, 200.0, 200.2])
    monkeypatch.setattr("ad_detectors.evaluation.scoring.time.perf_counter", lambda: next(ticks))
    assert evaluate(detector, split(), batch=4).ms_per_image == pytest.approx((100.0 + 200.0) / 2)
    monkeypatch.setattr("ad_detectors.evaluation.scoring.time.perf_counter", lambda: 1.0)
    assert evaluate(detector, split(), batch=9).ms_per_image is None


def test_a_category_is_opened_with_what_there_is(ground_category: Category, tmp_path: Path) -> None:
    halves = Holdout(0.2, 0.2)
    found = split_images(ground_category, 16, tmp_path, "f", halves)
    assert found.test is None
    assert found.validation is not None
    assert found.calibration is not None
    assert len(found.validation) == len(found.calibration) == 1
    assert set(found.validation.paths).isdisjoint(found.calibration.paths)
    with pytest.raises(DataError, match="no test pictures and no normal ones were held out"):
        split_images(ground_category, 16, tmp_path, "f")


@pytest.fixture
def ground_category(tmp_path: Path) -> Category:
    from PIL import Image

    folder = tmp_path / "toy" / "nut"
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures(5, 16)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{index}.png")
    return open_category(folder)


def test_calibration_fixes_the_operating_point_of_scores_and_maps(
    detector: GradualMean, tmp_path: Path
) -> None:
    normals = held_out(4, seed=9)
    found = evaluate(detector, split(), validation=held_out(3), calibration=normals)
    told = detector.score(normals.batch(range(4)))
    assert told.maps is not None
    highest = float(told.maps.amax())
    assert found.operating == OperatingPoint(float(told.images.max()), highest, 0.2, 4, True)
    assert found.to_json()["operating_point"] == found.operating.to_json()
    write_results(found, tmp_path, "nut")
    assert operating_file.load(tmp_path) == found.operating
    lower = operating_file.at_rate(tmp_path, 0.4)
    expected = float(told.maps.amax(dim=(1, 2)).sort().values[2])
    assert (lower.threshold, lower.map_threshold) == (float(told.images.sort().values[2]), expected)
    with pytest.raises(ConfigError, match=r"4 calibration images certify no rate of false alarms below 0\.2"):
        operating_file.at_rate(tmp_path, 0.1)


def test_without_calibration_there_is_no_operating_point_and_a_file_that_says_so(
    detector: GradualMean, tmp_path: Path
) -> None:
    found = evaluate(detector, split(), validation=held_out(3))
    assert found.operating is None
    assert found.to_json()["operating_point"] is None
    write_results(found, tmp_path, "nut")
    assert operating_file.load(tmp_path) is None
    with pytest.raises(ConfigError, match="no normal images were held out"):
        operating_file.at_rate(tmp_path, 0.5)


def test_an_operating_point_that_is_missing_or_broken_is_refused_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"operating_point\.json"):
        operating_file.load(tmp_path)
    (tmp_path / "operating_point.json").write_text("[1]")
    with pytest.raises(StateError, match="holds no operating point"):
        operating_file.load(tmp_path)


def test_a_detector_without_maps_has_a_threshold_on_its_score_alone(detector: GradualMean) -> None:
    class Blind(GradualMean):
        def score(self, images: torch.Tensor) -> Scores:
            return Scores(super().score(images).images)

    blind = Blind(Config())
    blind.restore(detector.state())
    found = evaluate(blind, split(), calibration=held_out(2))
    assert found.operating is not None
    assert found.operating.map_threshold is None


def test_scores_that_depend_on_their_batch_certify_nothing(detector: GradualMean) -> None:
    class InBatches(GradualMean):
        batch = 3  # type: ignore[assignment]

    odd = InBatches(Config())
    odd.restore(detector.state())
    found = evaluate(odd, split(), calibration=held_out(2))
    assert found.operating is not None
    assert not found.operating.certified


@pytest.mark.parametrize("stop", [2, 4, 5, 6])
def test_an_evaluation_that_goes_on_anywhere_has_the_same_operating_point(
    detector: GradualMean, stop: int, tmp_path: Path
) -> None:
    whole = evaluate(detector, split(), batch=3, calibration=held_out(7))
    partial = PartialEvaluation()

    def leave(batch: int, of: int) -> None:
        if batch == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(detector, split(), leave, 3, partial, calibration=held_out(7))
    checkpoint.save(partial.state(), tmp_path)
    again = PartialEvaluation.restore(checkpoint.load(tmp_path))
    assert (
        evaluate(detector, split(), batch=3, done=again, calibration=held_out(7)).operating == whole.operating
    )
