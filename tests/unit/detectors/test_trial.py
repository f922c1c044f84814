"""A trial scores what its measures need, normal pictures first, and estimates the first measure in rungs."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ad_detectors import checkpoint
from ad_detectors.api import Scores
from ad_detectors.data.images import TestImages
from ad_detectors.errors import ConfigError, DataError
from ad_detectors.evaluation import PartialEvaluation, Plan, SplitImages, Trial, TrialOutcome, evaluate
from ad_detectors.evaluation.plan import LATENCY, MEASURES, RUNGS, plan_trial
from ad_detectors.metrics.ranking import auroc
from ad_platform.sweeps.objectives import METRICS
from evaluation_cases import fitted, held_out, split
from gradual_mean import Config, GradualMean

DEFECTS = {"cut": 12, "hole": 6, "scratch": 3}
IMAGES = SplitImages(split(defects=DEFECTS), held_out(10))
VALIDATION, TEST = "validation/image_auroc", "test/image_auroc"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 10)


@pytest.fixture(scope="module")
def detector() -> GradualMean:
    return fitted()


class InBatches(GradualMean):
    """Its scores depend on the batch."""

    batch = 6  # type: ignore[assignment]

    def score(self, images: torch.Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images / scores.images.max(), scores.maps)


def run(detector: GradualMean, *measures: str, images: SplitImages = IMAGES) -> tuple[Trial, TrialOutcome]:
    trial = Trial(plan_trial(measures, images, detector.batch), PartialEvaluation())
    trial.score(detector, lambda batch, of: None)
    return trial, trial.outcome(detector)


def without_good() -> TestImages:
    whole = split()
    return TestImages(whole.samples[:4], whole.batch(range(4)).numpy(), whole.masks(range(4)))


def of_splits(plan: Plan) -> list[str]:
    return list(dict.fromkeys(part.split for part in plan.parts))


def test_every_measure_a_study_can_compare_by_can_be_measured() -> None:
    assert set(MEASURES) == set(METRICS)


def test_a_trial_measures_what_an_evaluation_of_the_model_measures(detector: GradualMean) -> None:
    whole = evaluate(detector, IMAGES.test, validation=IMAGES.validation).flat()
    names = [name for name in MEASURES if name != LATENCY]
    _, found = run(detector, *names)
    for name in names:
        exact = whole[name] if "aupro" not in name else pytest.approx(whole[name], abs=1e-12)
        assert found.metrics[name] == exact, name
    assert found.metrics["validation/saturated"] == whole["validation/saturated"]
    assert found.metrics["validation/ties"] == whole["validation/ties"]


def test_only_what_the_measures_need_is_scored(detector: GradualMean) -> None:
    for measures, splits, pictures in (
        ((VALIDATION,), ["validation"], 30),
        ((TEST,), ["test"], 26),
        ((TEST, VALIDATION), ["test", "validation"], 56),
        ((LATENCY,), ["validation"], 30),
        ((LATENCY, TEST), ["test"], 26),
    ):
        trial, found = run(detector, *measures)
        assert of_splits(trial.plan) == splits
        assert len(found.images) == pictures
        rooms = {name for name in found.metrics if name.endswith(("saturated", "ties"))}
        first = splits[0] if measures != (LATENCY,) else None
        assert set(found.metrics) - rooms == set(measures)
        assert rooms == ({f"{first}/saturated", f"{first}/ties"} if first else set())


def test_the_normal_pictures_come_first_and_every_rung_holds_each_defect_in_its_share(
    detector: GradualMean,
) -> None:
    trial, found = run(detector, TEST)
    assert [image.defect for image in found.images[:5]] == ["good"] * 5
    starts = (5, *trial.plan.rungs)
    assert len(trial.plan.rungs) == RUNGS
    assert {end - start for start, end in pairwise(starts)} == {2, 3}
    for end in trial.plan.rungs:
        share = (end - 5) / 21
        for kind, count in DEFECTS.items():
            met = sum(image.defect == kind for image in found.images[5:end])
            assert abs(met - share * count) <= 1.5, (end, kind)


def test_each_rung_places_the_anomalous_pictures_so_far_among_all_normal_ones(detector: GradualMean) -> None:
    for name in (VALIDATION, TEST):
        trial, found = run(detector, name)
        scores = np.array([image.score for image in found.images], np.float32)
        labels = [image.label for image in found.images]
        expected = [auroc(scores[:end], labels[:end]) for end in trial.plan.rungs]
        assert list(found.rungs) == expected
        assert found.rungs[-1] == found.metrics[name] == auroc(scores, labels)
        assert trial.estimates == {
            name: found.rungs[-1],
            **{f"rung/{number}": value for number, value in enumerate(found.rungs, 1)},
        }


def test_every_trial_of_the_same_pictures_scores_them_in_the_same_order(detector: GradualMean) -> None:
    other = GradualMean(Config(gain=3.0))
    other.restore({key: value for key, value in detector.state().items() if key.startswith("mean/")})
    other.restore({"score/largest": 9.0})
    for name in (VALIDATION, TEST):
        orders = [
            [(image.path, image.defect) for image in run(each, name)[1].images] for each in (detector, other)
        ]
        assert orders[0] == orders[1]


@pytest.mark.parametrize("first", [VALIDATION, "test/pixel_auroc", LATENCY])
def test_a_trial_stopped_after_any_batch_goes_on_to_the_same_end(
    detector: GradualMean, tmp_path: Path, first: str
) -> None:
    class Stopped(Exception):
        pass

    measures = (first, TEST)
    whole, expected = run(detector, *measures)
    for stop_at in range(1, whole.plan.batches + 1):
        trial = Trial(plan_trial(measures, IMAGES), PartialEvaluation())

        def stop(batch: int, of: int, at: int = stop_at) -> None:
            assert of == whole.plan.batches
            if batch == at:
                raise Stopped

        with pytest.raises(Stopped):
            trial.score(detector, stop)
        checkpoint.save(trial.scored.state(), tmp_path / str(stop_at))
        scored = PartialEvaluation.restore(checkpoint.load(tmp_path / str(stop_at)))
        again, found = Trial(plan_trial(measures, IMAGES), scored), []
        again.score(detector, lambda batch, of, found=found: found.append(batch))  # type: ignore[misc]
        assert found == list(range(stop_at + 1, whole.plan.batches + 1))
        outcome = again.outcome(detector)
        assert (outcome.rungs, outcome.images) == (expected.rungs, expected.images)
        assert {k: v for k, v in outcome.metrics.items() if k != LATENCY} == {
            k: v for k, v in expected.metrics.items() if k != LATENCY
        }


def test_estimates_grow_while_pictures_are_scored(detector: GradualMean) -> None:
    trial, known = Trial(plan_trial((VALIDATION,), IMAGES), PartialEvaluation()), []
    trial.score(detector, lambda batch, of: known.append(len(trial.rungs)))
    assert known == [0, 0, 3, 6, 8]  # of batches of 8: 10 normal pictures, then 20 with synthetic defects
    assert [image.split for image in trial.outcome(detector).images] == ["validation"] * 30


def test_the_latency_has_no_rungs_and_is_known_of_a_single_batch_too(detector: GradualMean) -> None:
    trial, found = run(detector, LATENCY, VALIDATION)
    assert found.rungs == trial.plan.rungs == ()
    assert trial.estimates == {LATENCY: found.metrics[LATENCY]}
    assert found.metrics[LATENCY] == found.ms_per_image
    few = SplitImages(None, held_out(2))
    trial, found = run(detector, LATENCY, images=few)
    assert found.metrics[LATENCY] > 0.0


def test_without_held_out_pictures_the_latency_is_that_of_the_test_split(detector: GradualMean) -> None:
    trial, _ = run(detector, LATENCY, images=SplitImages(split()))
    assert of_splits(trial.plan) == ["test"]


def test_scores_that_depend_on_their_batch_come_in_the_published_order_without_rungs(
    detector: GradualMean,
) -> None:
    odd = InBatches(Config())
    odd.restore(detector.state())
    images = SplitImages(IMAGES.test, held_out(10))
    whole = evaluate(odd, images.test, validation=images.validation)
    trial, found = run(odd, TEST, VALIDATION, images=images)
    assert found.rungs == ()
    assert trial.estimates == {}
    assert [(each.path, each.score) for each in found.images] == [
        (each.path, each.score) for each in (*whole.images, *whole.held_out)
    ]
    assert found.metrics[TEST] == whole.metrics["image_auroc"]
    assert found.metrics[VALIDATION] == whole.validation["image_auroc"]


def test_pictures_whose_defect_nobody_drew_come_last_where_pixels_are_measured(
    detector: GradualMean,
) -> None:
    test = split(defects=DEFECTS)
    test.has_mask = [label == 0 for label in test.labels]
    test._masks[:12] = False  # of the cuts
    trial, found = run(detector, "test/pixel_auroc", images=SplitImages(test))
    drawn = [image.defect for image in found.images[5:14]]
    assert "cut" not in drawn
    assert len(trial.plan.rungs) == RUNGS
    assert trial.plan.rungs[-1] == 26
    assert found.rungs[-1] == found.metrics["test/pixel_auroc"]
    assert found.metrics["test/pixel_auroc"] == evaluate(detector, test).metrics["pixel_auroc"]


def test_fewer_anomalous_pictures_make_fewer_rungs(detector: GradualMean) -> None:
    trial, found = run(detector, TEST, images=SplitImages(split(defects={"cut": 3})))
    assert trial.plan.rungs == (6, 7, 8)
    assert len(found.rungs) == 3


@pytest.mark.parametrize(
    ("measure", "images", "error", "says"),
    [
        (VALIDATION, SplitImages(split()), DataError, "there are none; hold some out with --holdout 10/10"),
        (TEST, SplitImages(None, held_out(3)), DataError, "needs test images, and there are none; add test"),
        (TEST, SplitImages(without_good()), DataError, "add test/good/"),
        (TEST, SplitImages(split(defects={"cut": 0})), DataError, "add test/<defect>/"),
        ("test/aupro_30", SplitImages(split(drawn=False)), DataError, "needs masks, and no defect is drawn"),
        ("validation/image_auc", IMAGES, ConfigError, "did you mean validation/image_auroc"),
        (LATENCY, SplitImages(None), DataError, "no pictures to score"),
    ],
)
def test_a_measure_that_the_pictures_cannot_tell_is_refused_with_what_to_do(
    measure: str, images: SplitImages, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        plan_trial((measure,), images)


def test_a_detector_without_maps_is_told_so_after_its_first_batch(detector: GradualMean) -> None:
    class Mapless(GradualMean):
        def score(self, images: torch.Tensor) -> Scores:
            return Scores(detector.score(images).images)

    trial = Trial(plan_trial(("validation/pixel_auroc",), IMAGES), PartialEvaluation())
    with pytest.raises(ConfigError, match="Mapless makes no anomaly maps"):
        trial.score(Mapless(Config()), lambda batch, of: None)
    assert trial.scored.done == 8
