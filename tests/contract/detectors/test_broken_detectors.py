"""The contract notices every broken promise, and says which; a contract that cannot fail proves nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

import broken_detectors as broken
from ad_detectors.api import Detector
from ad_detectors.testing import DetectorContract, Subject
from ad_detectors.testing.elsewhere import MANY
from gradual_mean import Config, GradualMean

STOPPED = "a_fit_stopped_at_every_report_ends_as_one_never_stopped"
ALONE = "a_fit_depends_on_config_data_and_seed_alone"
SCORE = "a_score_depends_on_the_picture_and_the_state_alone"
PLACE = "a_picture_scores_the_same_wherever_in_a_batch_at_any_size_and_number_of_threads"
TRACE = "scoring_leaves_no_trace"
PLAIN = "its_state_is_plain_named_by_stage_and_free_of_leftovers"
SAVED = "a_saved_detector_is_safetensors_and_json_and_nothing_is_unpickled_to_load_it"
ATTACKED = "what_is_attacked_is_its_score_and_has_a_gradient"
REBUILT = "a_reconstruction_depends_on_the_picture_and_the_state_alone"
SIZES = "maps_have_the_size_of_the_pictures_whatever_it_is"

CASES: list[tuple[type[Detector], str, str]] = [
    (broken.ForgetsMomentum, STOPPED, "differs at report 2"),
    (broken.CountsStepsSinceItStarted, STOPPED, "differs at report"),
    (broken.RoundsWhenRestored, STOPPED, "restored from report 1, its state is another"),
    (broken.LearnsFromTheGlobalGenerator, ALONE, "a generator of the process"),
    (broken.LearnsFromNumpysGenerator, ALONE, "a generator of the process"),
    (broken.LearnsFromItsWorkers, ALONE, "reading ahead with workers changes"),
    (broken.WritesIntoThePictures, "a_fit_leaves_the_pictures_as_they_were", "wrote into train/good/000.png"),
    (broken.SkipsAStep, "it_reports_every_step_from_one_on_and_knows_the_last", "last step was announced"),
    (broken.MakesHalfTheStepsInHalves, "in_halves_a_fit_makes_the_same_steps", "reports other steps"),
    (broken.ScoresOtherwiseInHalves, "in_halves_scores_are_the_same_bits", "with batches in halves"),
    (broken.NeedsFourPictures, "three_pictures_are_enough", "division"),
    (broken.DividesByTheSpread, "grey_pictures_will_do", "fitted on grey pictures, it scores"),
    (broken.ForgetsAStoredNumber, "stages_taken_from_a_store_give_the_same_state", "from a store"),
    (broken.DividesByTheVariety, "pictures_may_all_be_the_same", "one picture four times"),
    (broken.WantsSquares, "pictures_need_be_neither_square_nor_of_its_size", "not square"),
    (broken.DividesByTheBatch, SCORE, "the score of . of . pictures is another in a batch of"),
    (broken.SubtractsTheBatch, SCORE, "the map of . of . pictures is another in a batch of"),
    (
        broken.RoundsTheLastOneOtherwise,
        PLACE,
        "the map of 1 of 8 pictures is another than alone on 3 threads",
    ),
    (broken.DrawsFromTheGlobalGenerator, SCORE, "most that of"),
    (broken.TouchesTheGlobalGenerator, TRACE, "for the whole process: torch generator"),
    (broken.TouchesPythonsGenerator, TRACE, "for the whole process: python generator"),
    (broken.SetsAFlag, TRACE, "for the whole process: gradients"),
    (broken.WritesIntoWhatItScores, TRACE, "wrote into the pictures"),
    (broken.CountsItsScores, TRACE, "is another when scored again"),
    (broken.LearnsWhileScoring, TRACE, "scoring changed the state"),
    (broken.DragsGradients, TRACE, "torch.no_grad"),
    (broken.DiffersElsewhere, "a_fit_stopped_twice_goes_on_in_another_process_to_the_same_bits", "another"),
    (broken.DiffersElsewhere, "scores_are_the_same_bits_in_another_process", "fitted here and scored there"),
    (broken.DiffersElsewhere, "memory_does_not_grow_with_the_number_of_pictures", f"{MANY} pictures"),
    (broken.KeepsItsMomentum, PLAIN, "of no use after the fit"),
    (broken.KeepsObjects, PLAIN, "is a list"),
    (broken.TakesAnything, "a_state_of_something_else_is_refused", "is not refused"),
    (broken.UnpicklesItsState, SAVED, "torch.load was called"),
    (broken.ScoresWithoutAFit, "nothing_is_scored_before_a_fit", "is not refused"),
    (broken.SeesNothing, "a_planted_defect_raises_the_score_of_most_pictures", "of 6"),
    (broken.SeesNothing, "synthetic_defects_raise_more_than_half_of_the_scores", "of 16"),
    (broken.SeesNothing, "most_synthetic_defects_raise_the_map_where_they_are", "within .* of 16 defects"),
    (broken.CutsMapsToItsSize, SIZES, "have the maps"),
    (broken.BlackIsNoNumber, "black_white_and_noise_have_finite_scores", "scores are"),
    (broken.RebuildsSquares, "reconstructions_are_pictures_of_the_size_of_those_given", "are rebuilt as"),
    (broken.RebuildsTheBatchsMean, REBUILT, "are rebuilt otherwise than in a batch of 5"),
    (broken.RebuildsInTheDark, "rebuilding_leaves_no_trace", "rebuilding wrote into the pictures"),
    (broken.RebuildsWithoutAFit, "nothing_is_rebuilt_before_a_fit", "is not refused"),
    (broken.ExportsSomethingElse, "what_it_exports_scores_as_it_does", "differ by"),
    (
        broken.ExportsWhatDependsOnPixels,
        "what_it_exports_can_be_traced_for_any_number_of_pictures",
        "cannot trace",
    ),
    (broken.ExportsWithoutAFit, "nothing_is_exported_before_a_fit", "is not refused"),
    (broken.IsAttackedSomewhereElse, ATTACKED, "the scores that are attacked differ by 0.5"),
    (broken.HidesItsGradient, ATTACKED, "no gradient that is any use: 0.0"),
    (
        broken.ScoresNoiseByTheBatch,
        "its_score_under_noise_is_finite_and_that_of_each_picture",
        "depends on the batch",
    ),
    (broken.IsAttackedWithoutAFit, "nothing_is_attacked_before_a_fit", "is not refused"),
    (broken.ScoresNothing, "an_empty_batch_is_refused", "is not refused"),
]


@cache  # what it did in another process is asked once
def of(kind: type[GradualMean]) -> Subject:
    return Subject(kind, Config())


@pytest.mark.parametrize(
    ("kind", "promise", "said"), CASES, ids=[f"{kind.__name__}-{promise}" for kind, promise, _ in CASES]
)
def test_the_contract_notices_a_broken_promise(
    kind: type[GradualMean], promise: str, said: str, tmp_path: Path
) -> None:
    subject = of(kind)
    test = getattr(DetectorContract(), f"test_{promise}")
    arguments = [tmp_path] if "tmp_path" in test.__annotations__ else []
    try:
        with pytest.raises((AssertionError, ArithmeticError, ValueError), match=said):
            test(subject, *arguments)
    finally:
        torch.set_grad_enabled(True)


def test_every_promise_is_broken_by_some_detector() -> None:
    unbroken_by_design = {
        "test_its_config_survives_json_exactly",
        "test_a_setting_that_is_no_finite_number_is_refused",
        "test_every_field_of_its_config_is_in_exactly_one_stage",
    }
    promises = {name for name in dir(DetectorContract) if name.startswith("test_")}
    assert promises - unbroken_by_design - {f"test_{promise}" for _, promise, _ in CASES} == set()
