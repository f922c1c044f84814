"""On a real worker, a detector that looks elsewhere than at pixels fails, or is flagged and not promoted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import GateRefused
from ad_platform.records import Job
from ad_platform.results import selected_on
from ad_platform.states import FailureClass, JobKind, JobState
from desks import make_category
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

RULE = "a score may depend on the pixels and the model alone"


@pytest.fixture
def category(land: Ground) -> Path:
    folder = land.platform.home / "data" / "made" / "peeked"
    return folder if folder.exists() else make_category(folder, test=True)


def evaluation_of(land: Ground, category: Path, way: str) -> Job:
    """Train and evaluate with the leaking detector, and return the evaluation."""
    ask = replace(land.asked(category, settings={"way": way}), detector="leaking", evaluate=True)
    ask = replace(ask, scheduling=replace(ask.scheduling, tags={"selected_on": "validation"}))
    land.client.hold(ask.dataset)
    jobs = land.client.submit_train(replace(ask, checkpoint_every=None, holdout="20/10")).jobs
    return land.ended(jobs[1].id)


def test_a_detector_that_looks_at_pixels_alone_scores_the_same_for_a_witness(land: Ground, category: Path):
    ended = evaluation_of(land, category, "none")
    assert ended.state is JobState.SUCCEEDED, ended.error
    check = ended.result["leak_check"]
    assert check["passed"] is True, check  # type: ignore[index,call-overload]
    assert check["pictures"] == 8  # type: ignore[index,call-overload]
    assert "not made" not in land.platform("show", ended.id)
    land.client.promote(str(ended.spec.source), "champion", force=False, reason="")
    assert selected_on(ended) == "validation"


def test_a_model_says_by_which_images_its_settings_were_chosen(land: Ground, category: Path, tmp_path: Path):
    evaluation = evaluation_of(land, category, "none")
    bundle = str(land.job(str(evaluation.spec.source)).result["bundle"])
    land.storage.fetch(bundle, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["selected_on"] == "validation"
    said = json.loads(
        land.platform("predict", str(evaluation.spec.source), str(category / "test" / "good"), "--json")
    )
    assert said["selected_on"] == "validation"


@pytest.mark.parametrize("way", ["calls", "caller"])
def test_scores_by_order_or_by_labels_in_memory_are_flagged_and_not_promoted(
    land: Ground, category: Path, way: str
):
    ended = evaluation_of(land, category, way)
    assert ended.state is JobState.SUCCEEDED, ended.error
    if way == "caller":
        assert ended.result["metrics"]["test/image_auroc"] == 1.0  # type: ignore[index,call-overload]
    check = ended.result["leak_check"]
    assert check["passed"] is False, check  # type: ignore[index,call-overload]
    assert RULE in check["detail"]  # type: ignore[index,call-overload]
    shown = land.platform("show", ended.id)
    assert "FAILED" in shown
    assert RULE in " ".join(shown.split())
    with pytest.raises(GateRefused, match=r"gate 'leak' refuses .* but .* in a process"):
        land.client.promote(str(ended.spec.source), "champion", force=False, reason="")


def test_an_evaluation_whose_detector_opens_masks_fails_by_name(land: Ground, category: Path):
    ended = evaluation_of(land, category, "masks")
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.CODE)
    assert ended.error.startswith("detector 'leaking' listed ground_truth of made/peeked; a detector is")
    assert land.outcomes(ended.id) == ["failed"]


def test_a_trial_whose_scores_grow_with_each_call_fails(land: Ground, category: Path):
    ask = replace(land.asked(category, settings={"way": "calls"}), detector="leaking")
    land.client.hold(ask.dataset)
    (planned,) = land.client.plan_train(replace(ask, holdout="20/10"))
    spec = replace(planned.spec, kind=JobKind.TRIAL, measures=("validation/image_auroc",))
    ended = land.ended(land.client.submit([replace(planned, spec=spec)]).jobs[0].id)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.CODE)
    assert ended.error.startswith("detector 'leaking' cannot be trusted: train/good/")
    assert RULE in ended.error
