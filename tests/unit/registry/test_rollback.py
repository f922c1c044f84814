"""Going back is a new decision that points to an earlier one; history is never rewritten."""

from dataclasses import replace
from typing import Any

import pytest

from ad_platform.errors import ChampionChanged, Conflict, GateRefused, InvalidRequest, InvalidValue
from ad_platform.records import Champion
from ad_platform.registry.operating import ChosenBy, OperatingPoint, choose, of_decision
from ad_platform.registry.promotion import Wish, decide, promote, roll_back, verdicts_of
from ad_platform.registry.scores import read
from job_stories import CALIBRATED, Stories

MODEL = "ddad-mvtec-bottle"


def promoted(stories: Stories, auroc: float) -> Champion:
    return promote(stories.store, stories.storage, stories.trained(auroc), "champion", "ann")


def back(stories: Stories, **more: Any) -> Champion:
    values: dict[str, Any] = {"reason": "it flickers", **more}
    return roll_back(stories.store, stories.storage, MODEL, "champion", "kim", **values)


def test_a_rollback_is_a_new_revision_of_the_earlier_model(stories: Stories) -> None:
    first, second = promoted(stories, 0.8), promoted(stories, 0.9)
    before = stories.store.champions.history(MODEL)
    made = back(stories)
    assert (made.revision, made.job_id, made.reason, made.user) == (3, first.job_id, "it flickers", "kim")
    assert made.evidence["rollback_to"] == 1
    assert made.evidence["evaluation"] == first.evidence["evaluation"]
    assert stories.store.champions.history(MODEL) == [made, *before]
    assert second in before


def test_the_gates_are_recorded_and_a_worse_model_can_be_gone_back_to(stories: Stories) -> None:
    promoted(stories, 0.7)
    promoted(stories, 0.95)
    made = back(stories)
    said = {one.gate: one.passed for one in verdicts_of(made)}
    assert (said["no worse"], said["whole"], made.forced) == (False, True, True)


def test_going_back_twice_goes_back_further(stories: Stories) -> None:
    decisions = [promoted(stories, auroc) for auroc in (0.7, 0.8, 0.9)]
    assert [back(stories).job_id for _ in range(2)] == [decisions[1].job_id, decisions[0].job_id]
    with pytest.raises(Conflict, match="had no other model before revision 1"):
        back(stories)


def test_a_revision_can_be_named(stories: Stories) -> None:
    promoted(stories, 0.7)
    decisions = [promoted(stories, auroc) for auroc in (0.8, 0.9)]
    assert back(stories, to=1).evidence["rollback_to"] == 1
    assert back(stories, to=3).job_id == decisions[1].job_id
    with pytest.raises(InvalidRequest, match="has no revision 9; it is at 5"):
        back(stories, to=9)
    with pytest.raises(Conflict, match="is that model with that threshold already"):
        back(stories, to=3)


def test_a_threshold_is_gone_back_from_too(stories: Stories) -> None:
    first = promoted(stories, 0.9)
    evaluation = stories.store.jobs.get(str(first.evidence["evaluation"]))
    point = choose(
        read(stories.storage, evaluation), OperatingPoint.from_json({**CALIBRATED}), ChosenBy.FPR, 0.2
    )
    wish = Wish(alias="champion", user="ann", operating=point)
    second = decide(stories.store, stories.storage, evaluation, wish)
    assert (second.revision, second.job_id) == (2, first.job_id)
    assert second.evidence["weights"] == first.evidence["weights"]
    assert of_decision(second) == point
    assert decide(stories.store, stories.storage, evaluation, wish) == second
    made = back(stories)
    assert of_decision(made) == of_decision(first) != point


def test_a_model_whose_files_are_broken_is_not_gone_back_to(stories: Stories) -> None:
    first, second = promoted(stories, 0.8), promoted(stories, 0.9)
    stories.storage.remove(str(stories.store.jobs.get(first.job_id).result["bundle"]))
    with pytest.raises(GateRefused, match=r"gate 'whole' .* cannot be forced"):
        back(stories)
    assert stories.store.champions.current(MODEL, "champion") == second


def test_a_reason_is_needed_and_an_alias_has_to_be_there(stories: Stories) -> None:
    promoted(stories, 0.8)
    with pytest.raises(InvalidValue, match="--reason"):
        back(stories, reason=" ")
    with pytest.raises(InvalidRequest, match="nothing carries"):
        roll_back(stories.store, stories.storage, MODEL, "other", "kim", "why")


def test_who_decided_in_between_is_not_overruled(stories: Stories, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(stories, 0.8)
    promoted(stories, 0.85)
    champions = stories.store.champions
    seen = champions.history(MODEL)
    newest = promoted(stories, 0.95)
    monkeypatch.setattr(champions, "history", lambda model=None: seen)
    with pytest.raises(ChampionChanged):
        back(stories)
    assert champions.current(MODEL, "champion") == replace(newest)
