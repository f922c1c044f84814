"""Who may carry an alias, by what evidence, and what happens when two decide at once."""

import pytest

from ad_platform.errors import ChampionChanged, Conflict, GateRefused, InvalidRequest, InvalidValue
from ad_platform.records import Champion, Job, Outcome
from ad_platform.registry.promotion import model_name, promote
from ad_platform.specs import Json
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from job_stories import Stories


def decide(stories: Stories, job: Job, **more: object) -> Champion:
    return promote(stories.store, stories.storage, job, "champion", "ann", **more)  # type: ignore[arg-type]


def evaluation_of(stories: Stories, job: Job) -> Job:
    return stories.store.jobs.search(kind=JobKind.EVALUATE, needs=job.id)[0]


def test_a_promotion_records_every_gate_with_its_evidence(stories: Stories) -> None:
    job = stories.trained(0.9)
    champion = decide(stories, job, reason="first")
    assert (champion.model, champion.revision, champion.job_id) == ("ddad-mvtec-bottle", 1, job.id)
    assert stories.store.champions.current("ddad-mvtec-bottle", "champion") == champion
    gates = {gate["gate"]: gate["passed"] for gate in champion.evidence["gates"]}  # type: ignore[index,union-attr,call-overload]
    assert gates == dict.fromkeys(
        (
            *("succeeded", "whole", "evaluated", "selection", "leak", "no worse", "defects", "false alarms"),
            *("latency", "memory"),
        ),
        True,
    )
    assert champion.evidence["limits"]["margin"] == 0.01  # type: ignore[index,call-overload]
    assert champion.evidence["against"] is None
    assert champion.evidence["image_auroc"] == 0.9
    assert champion.evidence["evaluation"] == evaluation_of(stories, job).id
    assert not champion.forced


def test_an_evaluation_promotes_the_model_it_scored(stories: Stories) -> None:
    job = stories.trained(0.9)
    assert decide(stories, evaluation_of(stories, job)).job_id == job.id


def test_a_trial_has_no_model_to_promote_and_it_says_what_to_promote_instead(stories: Stories) -> None:
    job = stories.submit_trial("validation/image_auroc")
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="adctl promote bottles --best, or train with") as told:
            decide(stories, job)
        assert f"adctl submit train --from {job.id}" in str(told.value)
        if not job.state.terminal:
            job = stories.succeed(stories.lease(job), {"scores.csv": "a"}, {"validation/image_auroc": 0.9})


def test_the_newest_evaluation_speaks_for_a_model(stories: Stories) -> None:
    job = stories.trained(0.9)
    stories.evaluated(job, 0.8)
    assert decide(stories, job).evidence["image_auroc"] == 0.8


def test_promoting_the_same_again_changes_nothing(stories: Stories) -> None:
    job = stories.trained(0.9)
    assert decide(stories, job) == decide(stories, job)
    assert len(stories.store.champions.history()) == 1


def test_a_job_that_did_not_succeed_is_refused_even_with_force(stories: Stories) -> None:
    lease = stories.lease(stories.submit())
    outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CODE)
    job = stories.store.leases.finish(lease, outcome)
    with pytest.raises(
        GateRefused, match=r"gate 'succeeded' refuses .* is failed \(adctl retry .*cannot be forced"
    ):
        decide(stories, job, force=True, reason="please")


def test_an_evaluation_that_has_not_ended_speaks_for_nothing(stories: Stories) -> None:
    evaluation = stories.submit_evaluation(stories.trained(None))
    with pytest.raises(Conflict, match=f"is queued; wait for it with: adctl watch {evaluation.id}"):
        decide(stories, evaluation)


def test_an_evaluation_that_failed_is_named_with_what_to_do(stories: Stories) -> None:
    job = stories.trained(None)
    lease = stories.lease(stories.submit_evaluation(job))
    outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="no such picture")
    evaluation = stories.store.leases.finish(lease, outcome)
    with pytest.raises(Conflict, match=rf"failed \(no such picture\); .* adctl retry {evaluation.id}"):
        decide(stories, evaluation)
    with pytest.raises(GateRefused, match=rf"evaluation {evaluation.id} is failed \(adctl retry"):
        decide(stories, job)


def test_an_alias_is_meant_in_any_case(stories: Stories) -> None:
    decide(stories, stories.trained(0.8))
    again = promote(stories.store, stories.storage, stories.trained(0.9), "Champion", "ann")
    assert (again.alias, again.revision) == ("champion", 2)


def test_a_broken_model_is_refused_naming_the_file_even_with_force(stories: Stories) -> None:
    job = stories.trained(0.9)
    prefix = str(job.result["bundle"])
    (path,) = (stories.folder / "storage" / prefix).rglob("state.safetensors")
    path.write_text("weightz")
    with pytest.raises(GateRefused, match=r"gate 'whole' .*state\.safetensors has changed.*cannot be forced"):
        decide(stories, job, force=True, reason="please")


def test_a_model_that_was_replaced_since_is_refused(stories: Stories) -> None:
    job = stories.trained(0.9)
    other = stories.folder / "other"
    other.mkdir()
    (other / "state.safetensors").write_text("other")
    stories.storage.publish(str(job.result["bundle"]), other)
    with pytest.raises(GateRefused, match="is not the model that the job reported"):
        decide(stories, job)


def test_a_model_that_was_never_evaluated_is_refused_and_can_be_forced(stories: Stories) -> None:
    job = stories.trained(None)
    with pytest.raises(GateRefused, match=rf"submit evaluate {job.id}\); .* with --force --reason"):
        decide(stories, job)
    champion = decide(stories, job, force=True, reason="seen by eye")
    assert champion.forced
    assert champion.reason == "seen by eye"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (
            {"passed": False, "detail": "a.png scores 1 here but 2 there"},
            r"a\.png scores 1 here but 2 there; ",
        ),
        ({"passed": None, "detail": "not made: no memory"}, r"not made: no memory \(adctl submit evaluate "),
    ],
)
def test_an_evaluation_whose_scores_cannot_be_repeated_is_refused_and_can_be_forced(
    stories: Stories, check: dict[str, Json], said: str
) -> None:
    job = stories.trained(None)
    stories.evaluated(job, 0.9, leak_check=check)
    with pytest.raises(GateRefused, match=f"gate 'leak' refuses job {job.id}: {said}"):
        decide(stories, job)
    assert decide(stories, job, force=True, reason="an old machine").forced


def test_settings_chosen_on_test_images_are_refused(stories: Stories) -> None:
    job = stories.trained(0.9, tags={"selected_on": "test"})
    with pytest.raises(GateRefused, match="gate 'selection'"):
        decide(stories, job)


def test_force_needs_a_reason(stories: Stories) -> None:
    with pytest.raises(InvalidValue, match="--force needs --reason"):
        decide(stories, stories.trained(0.9), force=True, reason=" ")


@pytest.mark.parametrize("alias", ["", "latest", "v3", "a b", "1st", "a/b"])
def test_an_alias_that_cannot_be_is_refused(stories: Stories, alias: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be an alias"):
        promote(stories.store, stories.storage, stories.trained(0.9), alias, "ann")


def test_models_are_named_with_plain_characters(stories: Stories) -> None:
    assert model_name(stories.submit(category="metal nut/ä")) == "ddad-mvtec-metal-nut-"


def test_the_gates_are_asked_again_when_somebody_promotes_in_between(
    stories: Stories, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, better = stories.trained(0.8), stories.trained(0.95)
    champions = stories.store.champions
    current, rivals = champions.current, [better]

    def overtaken(model: str, alias: str) -> Champion | None:
        seen = current(model, alias)
        if rivals:
            decide(stories, rivals.pop())
        return seen

    monkeypatch.setattr(champions, "current", overtaken)
    with pytest.raises(GateRefused, match=r"image_auroc 0\.8000 against 0\.9500"):
        decide(stories, ours)
    assert current("ddad-mvtec-bottle", "champion").job_id == better.id  # type: ignore[union-attr]


def test_losing_every_time_is_reported(stories: Stories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories.store.champions, "current", lambda model, alias: None)
    first, second = stories.trained(0.8), stories.trained(0.9)
    decide(stories, first)
    with pytest.raises(ChampionChanged):
        decide(stories, second)
