"""What each gate lets pass, what it refuses, and the numbers it keeps."""

from dataclasses import replace
from typing import Any

import pytest

from ad_platform.errors import GateRefused
from ad_platform.records import Champion, Job
from ad_platform.registry.case import Verdict
from ad_platform.registry.limits import AllLimits, Limits
from ad_platform.registry.promotion import Proposal, Wish, decide, promote, propose
from job_stories import CALIBRATED, Stories, scores_csv


def proposed(stories: Stories, job: Job, limits: Limits | None = None, **more: Any) -> Proposal:
    wish = Wish(alias="champion", user="ann", **more)
    return propose(stories.store, stories.storage, job, wish, AllLimits(usual=limits or Limits()))


def verdict(stories: Stories, job: Job, gate: str, limits: Limits | None = None, **more: Any) -> Verdict:
    return next(one for one in proposed(stories, job, limits, **more).verdicts if one.gate == gate)


def champion(stories: Stories, job: Job) -> Champion:
    return promote(stories.store, stories.storage, job, "champion", "ann")


def evaluated(stories: Stories, job: Job, scores: str, auroc: float = 0.9, **more: Any) -> Job:
    """Let an evaluation have left these scores."""
    files = {"results.csv": "", "scores.csv": scores}
    lease = stories.lease(stories.submit_evaluation(job))
    metrics = {"test/image_auroc": auroc}
    return stories.succeed(lease, files, metrics, **{"operating_point": {**CALIBRATED}, **more})


def test_a_model_that_is_surely_worse_is_refused_with_the_interval(stories: Stories) -> None:
    first = champion(stories, stories.trained(0.95))
    said = verdict(stories, stories.trained(0.7), "no worse")
    assert not said.passed
    assert "image_auroc 0.7000 against 0.9500 on the same 80 images: -0.2500 [" in said.detail
    assert said.detail.endswith("it is worse")
    assert said.evidence["high"] < -0.1  # type: ignore[operator]
    assert said.evidence["against"] == first.job_id


def test_an_equal_and_a_better_model_pass(stories: Stories) -> None:
    champion(stories, stories.trained(0.8))
    equal, better = (verdict(stories, stories.trained(auroc), "no worse") for auroc in (0.8, 0.9))
    assert equal.passed
    assert (equal.evidence["low"], equal.evidence["high"]) == (0.0, 0.0)
    assert better.passed
    assert better.evidence["difference"] == pytest.approx(0.1)


def test_a_margin_decides_how_much_worse_is_still_no_worse(stories: Stories) -> None:
    champion(stories, stories.trained(0.9))
    slightly = stories.trained(0.875)
    refused = verdict(stories, slightly, "no worse")
    assert not refused.passed
    assert refused.detail.endswith("so few images do not show that it is no worse")
    assert verdict(stories, slightly, "no worse", Limits(margin=0.2)).passed


def test_what_cannot_be_compared_is_refused_and_says_what_to_run(stories: Stories) -> None:
    first = stories.trained(0.9)
    champion(stories, first)
    other = stories.trained(0.95, fingerprint="e" * 64)
    said = verdict(stories, other, "no worse")
    assert not said.passed
    assert f"job {first.id}, was not evaluated on these images" in said.detail
    assert f"adctl submit evaluate {first.id} --data /data/mvtec" in said.detail
    spec = replace(first.spec, dataset=other.spec.dataset)
    evaluated(stories, replace(first, spec=spec), scores_csv(0.8), 0.8)
    said = verdict(stories, other, "no worse")
    assert said.passed, said.detail
    assert "0.9500 against 0.8000" in said.detail


def test_evaluations_of_other_pictures_under_one_fingerprint_are_not_compared(stories: Stories) -> None:
    champion(stories, stories.trained(0.9))
    odd = stories.trained(None)
    evaluated(stories, odd, scores_csv(0.9).replace("test/good/007.png", "test/good/new.png"))
    said = verdict(stories, odd, "no worse")
    assert not said.passed
    assert "scored other images (2 differ): adctl submit evaluate" in said.detail


def test_an_evaluation_without_scores_speaks_for_nothing(stories: Stories) -> None:
    job = stories.trained(None)
    lease = stories.lease(stories.submit_evaluation(job))
    stories.succeed(lease, {"results.csv": ""}, {"test/image_auroc": 0.9}, operating_point={**CALIBRATED})
    said = verdict(stories, job, "defects")
    assert not said.passed
    assert f"left no scores.csv; evaluate anew with: adctl submit evaluate {job.id}" in said.detail


def test_a_kind_of_defect_below_chance_is_refused_though_the_rest_is_found(stories: Stories) -> None:
    job = stories.trained(None)
    evaluated(stories, job, scores_csv({"cut": 1.0, "hole": 0.45}), 0.725)
    said = verdict(stories, job, "defects")
    assert not said.passed
    assert said.detail == "hole 0.4500, its floor is 0.5"
    assert verdict(stories, job, "defects", Limits(defects={"hole": 0.4})).passed


def test_a_floor_of_a_kind_that_no_image_has_is_not_passed_in_silence(stories: Stories) -> None:
    said = verdict(stories, stories.trained(0.9), "defects", Limits(defects={"crack": 0.9}))
    assert (said.passed, said.detail) == (False, "crack has a floor, and no test image has it")


def test_a_kind_of_defect_that_is_surely_less_well_found_than_before_is_refused(stories: Stories) -> None:
    champion(stories, stories.trained(0.8))
    job = stories.trained(None)
    evaluated(stories, job, scores_csv({"cut": 1.0, "hole": 0.6}), 0.8)
    said = verdict(stories, job, "defects")
    assert not said.passed
    assert said.detail.startswith("hole -0.2000 [")
    assert verdict(stories, job, "defects", Limits(defect_margin=0.5)).passed


def test_false_alarms_are_judged_by_what_few_calibration_images_leave_to_chance(stories: Stories) -> None:
    job = stories.trained(0.9)
    said = verdict(stories, job, "false alarms")
    assert said.passed
    assert said.evidence["wrong"] == 3
    assert said.evidence["of"] == 40
    point = {**CALIBRATED, "threshold": 19.5}
    stories.evaluated(job, 0.9, operating_point=point)
    said = verdict(stories, job, "false alarms")
    assert not said.passed
    assert "20 of 40 good test images" in said.detail
    assert "are no chance at a calibrated 5 %" in said.detail


def test_a_limit_on_false_alarms_names_the_threshold_that_keeps_it(stories: Stories) -> None:
    job = stories.trained(0.9)
    said = verdict(stories, job, "false alarms", Limits(false_alarms=0.02))
    assert not said.passed
    assert f"2 % are allowed: adctl threshold {job.id} --fpr 0.02" in said.detail
    assert verdict(stories, job, "false alarms", Limits(false_alarms=0.1)).passed


def test_without_a_threshold_nobody_knows_the_false_alarms(stories: Stories) -> None:
    job = stories.trained(None)
    stories.evaluated(job, 0.9, operating_point=None)
    said = verdict(stories, job, "false alarms")
    assert (said.passed, "--holdout 10/10" in said.detail) == (False, True)


@pytest.mark.parametrize(
    ("gate", "measure", "limit"),
    [("latency", "ms_per_image", "latency_ms"), ("memory", "peak_memory_mb", "memory_mb")],
)
def test_a_budget_is_kept_exceeded_or_not_known(
    stories: Stories, gate: str, measure: str, limit: str
) -> None:
    job = stories.trained(0.9)
    tight: Any = Limits(**{limit: 40.0})  # type: ignore[arg-type]
    assert verdict(stories, job, gate).passed
    unknown = verdict(stories, job, gate, tight)
    assert not unknown.passed
    assert "was not measured, and 40" in unknown.detail
    stories.evaluated(job, 0.9, **{measure: 50.0})
    assert verdict(stories, job, gate).passed
    said = verdict(stories, job, gate, tight)
    assert (said.passed, said.evidence[measure], said.evidence["limit"]) == (False, 50.0, 40.0)
    assert "on cpu, 40 allowed" in said.detail
    assert verdict(stories, job, gate, Limits(**{limit: 60.0})).passed  # type: ignore[arg-type]


def test_a_detector_that_looked_at_more_than_pixels_is_refused(stories: Stories) -> None:
    job = stories.trained(None)
    stories.evaluated(job, 0.9, leak_check={"passed": False, "pictures": 8, "detail": "3 of 8 differ"})
    said = verdict(stories, job, "leak")
    assert (said.passed, said.detail) == (False, "3 of 8 differ")
    stories.evaluated(job, 0.9, leak_check={"passed": True, "pictures": 8, "detail": ""})
    assert verdict(stories, job, "leak").passed


def test_a_model_chosen_among_others_by_test_labels_is_refused(stories: Stories) -> None:
    job = stories.trained(0.9)
    by_test = {"by": "test/image_auroc", "among": 3}
    said = verdict(stories, job, "selection", chosen=by_test)
    assert not said.passed
    assert "chosen among 3 models by test/image_auroc" in said.detail
    assert verdict(stories, job, "selection", chosen={**by_test, "among": 1}).passed
    assert verdict(stories, job, "selection", chosen={**by_test, "by": "validation/image_auroc"}).passed


def test_a_proposal_changes_nothing_and_names_every_gate_that_refuses(stories: Stories) -> None:
    champion(stories, stories.trained(0.95))
    job = stories.trained(0.45)
    proposal = proposed(stories, job)
    assert [one.gate for one in proposal.refused] == ["no worse", "defects"]
    assert not proposal.passes
    assert proposed(stories, job, force=True, reason="why not").passes
    assert len(stories.store.champions.history()) == 1


def test_a_refusal_names_the_other_gates_too(stories: Stories) -> None:
    champion(stories, stories.trained(0.95))
    job = stories.trained(0.45)
    with pytest.raises(GateRefused, match=rf"so do defects \(adctl promote {job.id} --dry-run\)"):
        champion(stories, job)


def test_what_is_forced_keeps_what_was_overruled(stories: Stories) -> None:
    champion(stories, stories.trained(0.95))
    wish = Wish(alias="champion", user="ann", force=True, reason="the line stands still")
    made = decide(stories.store, stories.storage, stories.trained(0.45), wish)
    assert (made.forced, made.reason, made.evidence["against"]) == (True, "the line stands still", 1)
