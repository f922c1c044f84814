"""An evaluation measures what was scored, can be gone on with, and writes tables people can read."""

import csv
from pathlib import Path

import pytest
import torch

from ad_detectors import checkpoint
from ad_detectors.api import Scores
from ad_detectors.data.images import TestImages
from ad_detectors.errors import NotFinite, StateError
from ad_detectors.evaluation import PartialEvaluation, evaluate, write_results
from ad_detectors.metrics.bootstrap import Interval, paired_difference
from ad_detectors.metrics.pixels import pixel_measures
from ad_detectors.metrics.ranking import auroc
from evaluation_cases import fitted, split
from gradual_mean import Config, GradualMean


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 40)


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    return fitted()


def test_measures_are_those_of_the_scores_and_maps(detector: GradualMean) -> None:
    test = split()
    evaluation = evaluate(detector, test)
    scores = detector.score(test.batch(range(9)))
    assert scores.maps is not None
    assert [image.score for image in evaluation.images] == scores.images.tolist()
    assert evaluation.metrics["image_auroc"] == auroc(scores.images.numpy(), test.labels)
    pixels = pixel_measures(scores.maps.numpy(), test.masks(range(9)))
    assert (
        evaluation.metrics["pixel_auroc"] == pixels.auroc == auroc(scores.maps.numpy(), test.masks(range(9)))
    )
    assert evaluation.metrics["pixel_ap"] == pytest.approx(pixels.ap)
    assert evaluation.metrics["pixel_f1_max"] == pixels.f1_max
    assert evaluation.metrics["aupro_30"] == pytest.approx(pixels.aupro[0.3])
    assert evaluation.metrics["aupro_05"] == pytest.approx(pixels.aupro[0.05])
    assert (evaluation.images[0].path, evaluation.images[0].label, evaluation.images[0].defect) == (
        "test/cut/0.png",
        1,
        "cut",
    )


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_an_evaluation_stopped_after_any_batch_goes_on_to_the_same_end(
    detector: GradualMean, tmp_path: Path, stop_at: int
) -> None:
    partial, reports = PartialEvaluation(), []

    class Stopped(Exception):
        pass

    def report(step: int, of: int) -> None:
        reports.append((step, of))
        if step == stop_at:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(detector, split(), report, 2, partial)
    checkpoint.save(partial.state(), tmp_path)
    again = PartialEvaluation.restore(checkpoint.load(tmp_path))
    rest = evaluate(detector, split(), lambda step, of: reports.append((step, of)), 2, again)
    assert reports == [(step, 5) for step in range(1, 6)]
    whole = evaluate(detector, split())
    assert (rest.images, rest.metrics) == (whole.images, whole.metrics)
    assert rest.maps is not None
    assert whole.maps is not None
    assert len(rest.maps) == len(whole.maps) == 9
    assert all(torch.equal(one, other) for one, other in zip(rest.maps, whole.maps, strict=True))


def test_what_the_data_cannot_tell_is_none(detector: GradualMean, tmp_path: Path) -> None:
    only_normal = evaluate(detector, split(defects={"cut": 0}))
    assert set(only_normal.metrics.values()) == {None}
    undrawn = evaluate(detector, split(drawn=False))
    assert undrawn.metrics["pixel_auroc"] is None
    assert undrawn.metrics["image_auroc"] is not None
    write_results(undrawn, tmp_path, "nut")
    assert "n/a" in (tmp_path / "results.csv").read_text()


def test_a_detector_without_maps_has_no_pixel_measure(detector: GradualMean) -> None:
    class Mapless(GradualMean):
        def score(self, images: torch.Tensor) -> Scores:
            return Scores(detector.score(images).images)

    assert evaluate(Mapless(Config()), split()).metrics["pixel_auroc"] is None


def test_a_score_that_is_not_finite_names_the_picture(detector: GradualMean) -> None:
    class Explodes(GradualMean):
        def score(self, images: torch.Tensor) -> Scores:
            scores = torch.zeros(len(images))
            scores[-1] = float("nan")
            return Scores(scores)

    with pytest.raises(NotFinite, match=r"the score of test/cut/1\.png is nan"):
        evaluate(Explodes(Config()), split(), batch=2)


def test_a_partial_evaluation_of_another_split_is_refused(detector: GradualMean) -> None:
    partial = PartialEvaluation()
    evaluate(detector, split(), done=partial)
    with pytest.raises(StateError, match="evaluate anew"):
        evaluate(detector, split(normal=1, defects={"cut": 1}), done=partial)
    with pytest.raises(StateError, match="not that of an evaluation"):
        PartialEvaluation.restore({"mean/pixels": torch.zeros(1)})


def test_an_evaluation_begun_before_map_maxima_were_kept_is_refused_with_what_to_do(
    detector: GradualMean,
) -> None:
    partial = PartialEvaluation()
    evaluate(detector, split(), done=partial)
    older = {key: value for key, value in partial.state().items() if key != "evaluation/maxima"}
    with pytest.raises(StateError, match="begun by an older version; submit it again"):
        PartialEvaluation.restore(older)


def test_results_are_written_as_tables(detector: GradualMean, tmp_path: Path) -> None:
    evaluation = evaluate(detector, split())
    write_results(evaluation, tmp_path, "nut")
    header, row, cut = (tmp_path / "results.csv").read_text().splitlines()
    assert header.startswith("category,category_type,img_auc,pixel_auc")
    cells = row.split(",")
    assert cells[:2] == ["nut", "all"]
    assert float(cells[2]) == evaluation.metrics["image_auroc"]
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "path,label,defect,score,split,map_max"
    first = evaluation.images[0]
    assert evaluation.maps is not None
    assert first.map_max == float(evaluation.maps[0].max())
    assert lines[1] == f"test/cut/0.png,1,cut,{first.score!r},test,{first.map_max!r}"
    assert len(lines) == 10
    assert cut.startswith("nut,cut,")


def test_each_defect_is_measured_against_all_normal_pictures(detector: GradualMean, tmp_path: Path) -> None:
    test = split(defects={"cut": 2, "hole": 3})
    evaluation = evaluate(detector, test)
    assert list(evaluation.defects) == ["cut", "hole"]
    chosen = [2, 3, 4, 5, 6, 7, 8, 9]  # the holes, then what is good
    scores = detector.score(test.batch(chosen))
    assert scores.maps is not None
    hole = evaluation.defects["hole"]
    assert hole["image_auroc"] == auroc(scores.images.numpy(), [1, 1, 1, 0, 0, 0, 0, 0])
    pixels = pixel_measures(scores.maps.numpy(), test.masks(chosen))
    assert hole["pixel_auroc"] == pixels.auroc
    assert hole["aupro_30"] == pytest.approx(pixels.aupro[0.3])
    write_results(evaluation, tmp_path, "nut")
    rows = [line.split(",") for line in (tmp_path / "results.csv").read_text().splitlines()]
    assert [row[1] for row in rows] == ["category_type", "all", "cut", "hole"]
    assert float(rows[3][2]) == hole["image_auroc"]
    assert [row[-1] for row in rows] == ["images", "10", "7", "8"]


def test_a_defect_that_nobody_drew_or_that_is_too_small_to_see_counts_in_no_pixel_measure(
    detector: GradualMean,
) -> None:
    test = split()
    whole = evaluate(detector, test)
    assert whole.unmarked == ()
    masks = test.masks(range(9))
    masks[1] = False  # the file is there and empty
    partly = evaluate(detector, TestImages(test.samples, test.batch(range(9)).numpy(), masks))
    assert partly.unmarked == ("test/cut/1.png",)
    rest = [0, 2, 3, 4, 5, 6, 7, 8]
    maps = detector.score(test.batch(rest)).maps
    assert maps is not None
    assert partly.metrics["pixel_auroc"] == pixel_measures(maps.numpy(), masks[rest]).auroc
    assert partly.metrics["image_auroc"] == whole.metrics["image_auroc"]


def test_measures_come_with_intervals_and_evidence_to_compare_detectors(detector: GradualMean) -> None:
    evaluation = evaluate(detector, split())
    assert set(evaluation.intervals) == set(evaluation.metrics)
    for name, interval in evaluation.intervals.items():
        assert interval.point == pytest.approx(evaluation.metrics[name], abs=2e-3)
        assert interval.low <= interval.point <= interval.high
    assert evaluation.evidence is not None
    same = paired_difference(evaluation.evidence, evaluate(detector, split()).evidence, draws=20)
    assert same["pixel_auroc"] == Interval(0.0, 0.0, 0.0)


def test_each_defect_has_the_intervals_of_its_pictures_beside_all_good_ones(
    detector: GradualMean, tmp_path: Path
) -> None:
    evaluation = evaluate(detector, split(defects={"cut": 4, "hole": 3}))
    assert set(evaluation.defect_intervals) == {"cut", "hole"}
    for defect, found in evaluation.defect_intervals.items():
        assert set(found) == set(evaluation.metrics)
        for name, interval in found.items():
            exact = evaluation.defects[defect][name]
            assert interval.point == pytest.approx(exact, abs=5e-3), (defect, name)
            assert interval.low <= interval.point <= interval.high
    write_results(evaluation, tmp_path, "nut")
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["category_type"] for row in rows] == ["all", "cut", "hole"]
    low = float(rows[2]["img_auc_low"])
    assert low == evaluation.defect_intervals["hole"]["image_auroc"].low


def test_a_map_that_cannot_be_used_names_the_picture(detector: GradualMean) -> None:
    class Maps(GradualMean):
        def score(self, images: torch.Tensor) -> Scores:
            scores = detector.score(images)
            assert scores.maps is not None
            scores.maps[-1, 2, 3] = self.config.gain
            return Scores(scores.images, scores.maps[:, : self.config.steps])

    with pytest.raises(NotFinite, match=r"the map of test/good/3\.png holds what is infinite"):
        evaluate(Maps(Config(gain=float("inf"), steps=16)), split())
    with pytest.raises(StateError, match=r"test/cut/0\.png has the shape \(5, 16\), its picture \(16, 16\)"):
        evaluate(Maps(Config(steps=5)), split())


def test_the_batch_that_a_detector_insists_on_is_the_one_it_gets(detector: GradualMean) -> None:
    seen: list[int] = []

    class Insists(GradualMean):
        batch = 3

        def score(self, images: torch.Tensor) -> Scores:
            seen.append(len(images))
            return detector.score(images)

    evaluate(Insists(Config()), split(), batch=8)
    assert seen == [3, 3, 3]
