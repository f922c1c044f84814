"""An evaluation measures what was scored, can be gone on with, and writes tables people can read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ad_detectors import checkpoint
from ad_detectors.api import Scores
from ad_detectors.data.images import TestImages
from ad_detectors.data.layout import Sample
from ad_detectors.errors import NotFinite, StateError
from ad_detectors.evaluation import PartialEvaluation, evaluate, write_results
from ad_detectors.fitting import run_fit
from ad_detectors.metrics.ranking import auroc
from ad_detectors.testing import MemoryImages, WatchedContext, pictures, with_defect
from gradual_mean import Config, GradualMean


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    made = GradualMean(Config())
    run_fit(made, MemoryImages(pictures(8, 16)), WatchedContext(made))
    return made


def split(drawn: bool = True, normal: int = 5, defective: int = 4) -> TestImages:
    clean = pictures(normal, 16, seed=2)
    spoiled = with_defect(pictures(defective, 16, seed=3)) if defective else clean[:0]
    pixels = torch.cat([spoiled, clean]).numpy()
    masks = np.zeros((normal + defective, 16, 16), np.bool_)
    masks[:defective] = (with_defect(clean[:1]) != clean[:1]).any(1)[0].numpy() if drawn else False
    mask = Path("m.png") if drawn else None
    samples = [Sample(Path(f"c{i}.png"), f"test/cut/{i}.png", "cut", mask) for i in range(defective)]
    samples += [Sample(Path(f"g{i}.png"), f"test/good/{i}.png") for i in range(normal)]
    return TestImages(samples, pixels, masks)


def test_measures_are_those_of_the_scores_and_maps(detector: GradualMean) -> None:
    test = split()
    evaluation = evaluate(detector, test)
    scores = detector.score(test.batch(range(9)))
    assert scores.maps is not None
    assert [image.score for image in evaluation.images] == scores.images.tolist()
    assert evaluation.metrics["image_auroc"] == auroc(scores.images.numpy(), test.labels)
    assert evaluation.metrics["pixel_auroc"] == auroc(scores.maps.numpy(), test.masks(range(9)))
    assert (evaluation.images[0].path, evaluation.images[0].label, evaluation.images[0].defect) == (
        "test/cut/0.png",
        1,
        "cut",
    )


@pytest.mark.parametrize("stop_at", [1, 2, 4, 5])
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
    assert torch.equal(rest.maps, whole.maps)


def test_what_the_data_cannot_tell_is_none(detector: GradualMean, tmp_path: Path) -> None:
    only_normal = evaluate(detector, split(defective=0))
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
        evaluate(detector, split(normal=1, defective=1), done=partial)
    with pytest.raises(StateError, match="not that of an evaluation"):
        PartialEvaluation.restore({"mean/pixels": torch.zeros(1)})


def test_results_are_written_as_tables(detector: GradualMean, tmp_path: Path) -> None:
    evaluation = evaluate(detector, split())
    write_results(evaluation, tmp_path, "nut")
    header, row = (tmp_path / "results.csv").read_text().splitlines()
    assert header.startswith("category,category_type,img_auc,pixel_auc")
    cells = row.split(",")
    assert cells[:2] == ["nut", "all"]
    assert float(cells[2]) == evaluation.metrics["image_auroc"]
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[0] == "path,label,defect,score"
    assert lines[1] == f"test/cut/0.png,1,cut,{evaluation.images[0].score!r}"
    assert len(lines) == 10
