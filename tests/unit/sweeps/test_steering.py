"""A person steers a sweep; what cannot be is said."""

import pytest

from ad_platform.errors import Conflict, InvalidRequest, UnknownName
from ad_platform.states import StudyState
from sweepkit import Field


def test_a_sweep_is_found_by_name_in_any_case_by_its_id_and_as_the_last(ground: Field) -> None:
    study = ground.submit(trials=1, name="Bottle")
    for text in ("bottle", study.id, study.id[:6], "@last", "@LAST"):
        assert ground.sweeps.find(text) == study
    with pytest.raises(UnknownName, match="no sweep named 'botle'; did you mean Bottle"):
        ground.sweeps.find("botle")


def test_without_any_sweep_the_last_one_is_unknown(ground: Field) -> None:
    with pytest.raises(UnknownName, match="there are none yet"):
        ground.sweeps.find("@last")


def test_a_sweep_is_paused_resumed_and_cancelled_once(ground: Field) -> None:
    ground.submit(trials=3, name="a")
    assert ground.sweeps.pause("a").state is StudyState.PAUSED
    assert ground.sweeps.resume("a").state is StudyState.RUNNING
    assert ground.sweeps.cancel("a").state is StudyState.STOPPED
    with pytest.raises(Conflict, match="sweep a is stopped already"):
        ground.sweeps.cancel("a")
    with pytest.raises(Conflict, match="sweep a is stopped already"):
        ground.sweeps.stop("a")
    with pytest.raises(Conflict, match="sweep a is stopped already"):
        ground.sweeps.pause("a")
    assert ground.sweeps.resume("a").state is StudyState.RUNNING


def test_an_extension_says_by_how_much(ground: Field) -> None:
    ground.submit(trials=3, name="a")
    assert ground.sweeps.extend("a", trials=2).wanted == 5
    assert ground.sweeps.extend("a", parallel=7).parallel == 7
    with pytest.raises(InvalidRequest, match="say by how much"):
        ground.sweeps.extend("a")
    with pytest.raises(InvalidRequest, match="--trials must be at least 1 more, not 0"):
        ground.sweeps.extend("a", trials=0)


def test_a_finished_sweep_is_extended_not_resumed(ground: Field) -> None:
    study = ground.run(ground.submit(trials=2, name="a"))
    with pytest.raises(Conflict, match="adctl sweep extend a --trials N"):
        ground.sweeps.resume(study.name)


def test_a_grid_that_is_done_cannot_be_extended(ground: Field) -> None:
    ground.run(ground.submit("mode=mean,max", trials=2, sampler="grid", name="a"))
    with pytest.raises(Conflict, match="the grid of sweep a has 2 points, and all were tried"):
        ground.sweeps.extend("a", trials=1)


def test_a_clone_asks_for_the_same_under_another_name(ground: Field) -> None:
    first = ground.submit("w=0:3", trials=3, parallel=2)
    clone = ground.sweeps.clone(first.name, trials=9)
    assert (clone.name, clone.wanted, clone.parallel) == ("slope-screw-2", 9, 2)
    assert clone.spec["space"] == first.spec["space"]
    assert clone.spec["cloned_from"] == first.id
    assert ground.sweeps.clone(first.name, name="mine", warm=True).spec["warm_start"] == first.id
    with pytest.raises(Conflict, match="named 'mine' already"):
        ground.sweeps.clone(first.name, name="mine")


def test_nothing_is_retried_where_nothing_failed(ground: Field) -> None:
    study = ground.run(ground.submit(trials=2))
    with pytest.raises(Conflict, match="no failed trial"):
        ground.sweeps.retry(study.name)


def test_the_best_is_promoted_only_once_it_was_evaluated(ground: Field) -> None:
    study = ground.submit(trials=2, name="a")
    with pytest.raises(Conflict, match="sweep a has no complete trial yet"):
        ground.sweeps.promote_best("a", "champion")
    advancer = ground.advancer()
    advancer.advance(study.id)
    ground.work(2)  # the training and a trial
    advancer.advance(study.id)
    with pytest.raises(Conflict, match=r"has not finished.*adctl sweep watch a"):
        ground.sweeps.promote_best("a", "champion")
    ground.work()
    advancer.advance(study.id)
    with pytest.raises(Conflict, match="the best of sweep a is not evaluated yet: adctl watch"):
        ground.sweeps.promote_best("a", "champion")


def test_a_view_adds_up_and_tells_the_time_that_is_left(ground: Field) -> None:
    study = ground.submit(trials=9, parallel=3, name="a")
    advancer = ground.advancer()
    for _ in range(2):
        advancer.advance(study.id)
        ground.work()
    advancer.advance(study.id)
    view = ground.sweeps.view(ground.sweeps.find("a"))
    assert view.asked == view.complete + view.pruned + view.failed + view.running
    assert view.seconds_left is not None
    assert [one.study.name for one in ground.sweeps.list()] == ["a"]
