"""Studies and their trials: created once, advanced by one process at a time, with sums that add up."""

from dataclasses import replace

import pytest

from ad_platform.errors import AmbiguousId, ClaimLost, IllegalTransition, InvalidValue, UnknownName
from ad_platform.records import Study, Trial
from ad_platform.states import JobState, StudyState, TrialOrigin, TrialState
from ad_platform.store.contract import Store
from store_cases import MINUTE, START, FakeClock, asked

STUDY = Study(id="5a01", name="sweep", state=StudyState.RUNNING, spec={"a": 1}, user="ann", wanted=9)
FIRST = Trial(study_id="5a01", number=0, state=TrialState.RUNNING, params={"w": 1.5})


def running(store: Store) -> Study:
    """Create the study and let "me" advance it."""
    study = store.studies.create(STUDY)
    assert store.studies.claim("5a01", "me", MINUTE)
    return study


def test_a_study_is_created_once_and_found_by_name_in_any_case_or_by_its_id(store: Store) -> None:
    first = store.studies.create(STUDY)
    assert (first.created_at, first.version, first.shipped_version) == (START, 1, 0)
    assert store.studies.create(replace(STUDY, id="5b02", spec={})) == first
    assert store.studies.create(STUDY) == first
    for name in ("sweep", "SWEEP", "5a01", "5a"):
        assert store.studies.get(name) == first
    with pytest.raises(UnknownName, match="no sweep named 'sweeep'; did you mean sweep"):
        store.studies.get("sweeep")
    with pytest.raises(UnknownName):
        store.studies.get("")
    store.studies.create(replace(STUDY, id="5a02", name="other"))
    with pytest.raises(AmbiguousId, match="id '5a0' fits several sweeps"):
        store.studies.get("5a0")


@pytest.mark.parametrize(("wanted", "parallel"), [(-1, 1), (10_000_000, 1), (1, 0), (1, 100_000)])
def test_a_study_of_an_impossible_size_is_refused(store: Store, wanted: int, parallel: int) -> None:
    with pytest.raises(InvalidValue, match="a study"):
        store.studies.create(replace(STUDY, wanted=wanted, parallel=parallel))
    store.studies.create(STUDY)
    with pytest.raises(InvalidValue, match="a study"):
        store.studies.steer("5a01", wanted=wanted, parallel=parallel)


def test_one_process_at_a_time_advances_a_study(store: Store, clock: FakeClock) -> None:
    store.studies.create(STUDY)
    assert store.studies.claim("5a01", "a", MINUTE)
    assert store.studies.claim("5a01", "a", MINUTE)
    assert not store.studies.claim("5a01", "b", MINUTE)
    store.studies.release("5a01", "b")
    assert not store.studies.claim("5a01", "b", MINUTE)
    store.studies.release("5a01", "a")
    assert store.studies.claim("5a01", "b", MINUTE)
    clock.advance(2 * MINUTE)
    assert store.studies.claim("5a01", "a", MINUTE)


def test_whoever_lost_the_claim_can_neither_begin_a_trial_nor_summarise(
    store: Store, clock: FakeClock
) -> None:
    running(store)
    clock.advance(2 * MINUTE)
    with pytest.raises(ClaimLost):
        store.studies.begin_trial(FIRST, "me", [asked(key="k")])
    assert store.studies.claim("5a01", "you", MINUTE)
    with pytest.raises(ClaimLost, match="me no longer advances study 5a01"):
        store.studies.begin_trial(FIRST, "me", [asked(key="k")])
    with pytest.raises(ClaimLost):
        store.studies.summarise("5a01", "me", {"x": 1})
    assert store.studies.trials("5a01") == []
    assert store.jobs.of_keys(["k"]) == {}


def test_a_claim_is_held_for_longer_only_while_nobody_else_has_had_it(store: Store, clock: FakeClock) -> None:
    running(store)
    clock.advance(2 * MINUTE)
    assert store.studies.prolong("5a01", "me", MINUTE)  # it ran out, and nobody came
    store.studies.begin_trial(FIRST, "me", [])
    clock.advance(2 * MINUTE)
    assert store.studies.claim("5a01", "you", MINUTE)
    for _ in range(2):
        assert not store.studies.prolong("5a01", "me", MINUTE)
        with pytest.raises(ClaimLost):
            store.studies.end_trial("5a01", 0, TrialState.FAILED, None, owner="me")
        store.studies.release("5a01", "you")  # free again, but no more as it was
    assert [trial.state for trial in store.studies.trials("5a01")] == [TrialState.RUNNING]
    assert store.studies.claim("5a01", "me", MINUTE)
    assert store.studies.end_trial("5a01", 0, TrialState.FAILED, None, owner="me").state is TrialState.FAILED


def test_a_trial_begins_with_its_jobs_and_the_same_number_again_changes_nothing(store: Store) -> None:
    running(store)
    trial, jobs = store.studies.begin_trial(FIRST, "me", [asked(key="k0"), asked(key="k1", needs=("#0",))])
    assert trial == replace(FIRST, asked_at=START)
    assert [job.key for job in jobs] == ["k0", "k1"]
    again, same = store.studies.begin_trial(
        replace(FIRST, params={"w": 9.0}), "me", [asked(key="k0"), asked(key="k1", needs=("#0",))]
    )
    assert (again, [job.id for job in same]) == (trial, [job.id for job in jobs])
    assert store.jobs.of_keys(["k0", "k1", "k2"]).keys() == {"k0", "k1"}
    assert store.jobs.of_keys([]) == {}


def test_a_trial_ends_once(store: Store, clock: FakeClock) -> None:
    running(store)
    store.studies.begin_trial(FIRST, "me", [])
    clock.advance(5)
    ended = store.studies.end_trial("5a01", 0, TrialState.COMPLETE, [0.5, 2])
    assert (ended.state, ended.values, ended.ended_at) == (TrialState.COMPLETE, (0.5, 2.0), START + 5)
    assert store.studies.end_trial("5a01", 0, TrialState.FAILED, None, "late") == ended
    with pytest.raises(UnknownName, match="no trial named '7'; there are: 0"):
        store.studies.end_trial("5a01", 7, TrialState.FAILED, None)


def test_a_failed_trial_is_run_again_once(store: Store) -> None:
    running(store)
    store.studies.begin_trial(FIRST, "me", [])
    store.studies.end_trial("5a01", 0, TrialState.FAILED, None, "it\0 broke")
    assert store.studies.trials("5a01")[0].error == "it broke"
    once_more = replace(FIRST, number=1, origin=TrialOrigin.RETRY, retry_of=0)
    first, jobs = store.studies.begin_trial(once_more, "me", [asked(key="k1")])
    assert len(jobs) == 1
    second, none = store.studies.begin_trial(replace(once_more, number=2), "me", [asked(key="k2")])
    assert (second, none) == (first, [])
    assert store.jobs.of_keys(["k2"]) == {}


def test_trials_are_listed_by_state_in_pages_and_counted(store: Store) -> None:
    running(store)
    for number in range(5):
        store.studies.begin_trial(replace(FIRST, number=number), "me", [])
    warm = replace(FIRST, number=5, origin=TrialOrigin.WARM, state=TrialState.COMPLETE, values=(0.5,))
    assert store.studies.begin_trial(warm, "me", [])[0].ended_at == START
    store.studies.end_trial("5a01", 3, TrialState.PRUNED, [0.25])
    ended = [TrialState.PRUNED, TrialState.COMPLETE]
    assert [trial.number for trial in store.studies.trials("5a01", ended)] == [3, 5]
    assert [trial.number for trial in store.studies.trials("5a01", after=1, limit=2)] == [2, 3]
    assert store.studies.counts("5a01") == {
        (TrialOrigin.ASKED, TrialState.RUNNING): 4,
        (TrialOrigin.ASKED, TrialState.PRUNED): 1,
        (TrialOrigin.WARM, TrialState.COMPLETE): 1,
    }


def test_a_person_steers_a_study_within_the_table_of_its_states(store: Store, clock: FakeClock) -> None:
    running(store)
    paused = store.studies.steer("5a01", state=StudyState.PAUSED, wanted=20, parallel=4)
    assert (paused.state, paused.wanted, paused.parallel, paused.version) == (StudyState.PAUSED, 20, 4, 2)
    assert store.studies.steer("5a01", wanted=20) == paused
    with pytest.raises(IllegalTransition, match="sweep sweep is paused and cannot become finished"):
        store.studies.steer("5a01", state=StudyState.FINISHED)
    clock.advance(9)
    assert store.studies.steer("5a01", state=StudyState.STOPPED).finished_at == START + 9
    assert store.studies.steer("5a01", state=StudyState.RUNNING).finished_at is None
    with pytest.raises(UnknownName):
        store.studies.steer("none", wanted=1)


def test_a_summary_ends_a_study_that_runs_and_no_other(store: Store) -> None:
    running(store)
    told = store.studies.summarise("5a01", "me", {"asked": 1})
    assert (told.summary, told.version) == ({"asked": 1}, 2)
    assert store.studies.summarise("5a01", "me", {"asked": 1}) == told
    store.studies.steer("5a01", state=StudyState.PAUSED)
    assert store.studies.summarise("5a01", "me", {"asked": 1}, finished=True).state is StudyState.PAUSED
    store.studies.steer("5a01", state=StudyState.RUNNING)
    finished = store.studies.summarise("5a01", "me", {"asked": 1}, finished=True)
    assert (finished.state, finished.finished_at) == (StudyState.FINISHED, START)


def test_a_study_is_advanced_while_it_runs_or_has_trials_that_have_not_ended(store: Store) -> None:
    running(store)
    store.studies.create(replace(STUDY, id="b", name="done", state=StudyState.FINISHED))
    assert [study.id for study in store.studies.to_advance()] == ["5a01"]
    store.studies.begin_trial(FIRST, "me", [])
    store.studies.steer("5a01", state=StudyState.PAUSED)
    assert [study.id for study in store.studies.to_advance()] == ["5a01"]
    store.studies.end_trial("5a01", 0, TrialState.FAILED, None)
    assert store.studies.to_advance() == []
    assert [study.name for study in store.studies.search([StudyState.PAUSED])] == ["sweep"]
    assert len(store.studies.search()) == 2


def test_what_the_tracking_server_was_not_told_is_known(store: Store) -> None:
    study = running(store)
    assert [one.id for one in store.studies.unshipped()] == ["5a01"]
    store.studies.shipped(study, "run-1")
    assert store.studies.unshipped() == []
    assert store.studies.get("sweep").run_id == "run-1"
    newer = store.studies.summarise("5a01", "me", {"x": 1})
    store.studies.shipped(study, "run-1")
    assert [one.version for one in store.studies.unshipped()] == [newer.version]


def test_the_jobs_of_a_trial_are_waiting_for_what_they_need(store: Store) -> None:
    running(store)
    _, jobs = store.studies.begin_trial(FIRST, "me", [asked(key="k0"), asked(key="k1", needs=("#0",))])
    assert [job.state for job in jobs] == [JobState.QUEUED, JobState.WAITING]


def test_failed_trials_are_wanted_again_once_and_have_the_study_run(store: Store) -> None:
    running(store)
    for number, origin in enumerate((TrialOrigin.ASKED, TrialOrigin.ASKED, TrialOrigin.RULED_OUT)):
        store.studies.begin_trial(replace(FIRST, number=number, origin=origin), "me", [])
        store.studies.end_trial("5a01", number, TrialState.FAILED, None)
    store.studies.begin_trial(replace(FIRST, number=3), "me", [])
    store.studies.begin_trial(replace(FIRST, number=4, origin=TrialOrigin.RETRY, retry_of=1), "me", [])
    store.studies.summarise("5a01", "me", {}, finished=True)
    assert [(trial.number, trial.again_at) for trial in store.studies.retry("5a01")] == [(0, START)]
    assert store.studies.get("sweep").state is StudyState.RUNNING
    assert store.studies.retry("5a01") == []
