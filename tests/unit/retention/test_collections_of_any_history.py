"""Whatever happened before: a collection takes nothing that is needed, and what it takes can be had back."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ad_platform.retention.facts import DAY, Rules
from ad_platform.retention.plan import Plan
from ad_platform.states import JobState
from histories import History, curve_of, random_history, whole
from needed import Needed
from timed_blobs import TimedBlobs

RULES = st.builds(
    Rules,
    older_than=st.sampled_from([0.0, 3 * DAY, 30 * DAY, None]),
    keep_last=st.integers(0, 2),
    grace=st.sampled_from([0.0, DAY]),
    resumable=st.sampled_from([0.0, 10 * DAY, 30 * DAY]),
)
HISTORIES = settings(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True
)
SEEDS = st.integers(0, 10**6)
MOVES = st.integers(25, 70)
EAGER = Rules(older_than=0.0, keep_last=0, grace=0.0, resumable=0.0)


def placed(history: History) -> dict[str, bytes]:
    assert isinstance(history.blobs, TimedBlobs)
    return history.blobs.placed


def finished(path: str) -> bool:
    return "/.writing-" not in path


@settings(HISTORIES, max_examples=24)
@given(SEEDS, MOVES, RULES)
@example(1, 70, EAGER)
@example(2, 70, EAGER)
@example(3, 70, EAGER)
@example(4, 70, EAGER)
def test_nothing_that_is_needed_is_taken(
    new_history: Callable[[], History], seed: int, moves: int, rules: Rules
) -> None:
    history = new_history()
    random_history(history, seed, moves)
    needed = Needed(history, rules)
    before = placed(history)
    curves = {job_id: curve_of(history, needed.all[job_id]) for job_id in needed.finished}
    resumed = {job_id: history.resumed(needed.all[job_id]) for job_id in needed.resumable}
    history.collector.collect(rules)
    after = placed(history)

    lost = [path for path in before if needed.stays(path) and finished(path) and path not in after]
    assert lost == []
    assert all(after[path] == before[path] for path in after if path in before)
    assert {job_id: curve_of(history, needed.all[job_id]) for job_id in curves} == curves
    assert {job_id: history.resumed(needed.all[job_id]) for job_id in resumed} == resumed
    for champion in history.store.champions.history():
        assert whole(history, str(history.store.jobs.get(champion.job_id).result["bundle"]))


@settings(HISTORIES, max_examples=8)
@given(SEEDS, MOVES, RULES)
def test_what_was_taken_comes_back_to_the_byte_and_stays(
    new_history: Callable[[], History], seed: int, moves: int, rules: Rules
) -> None:
    history = new_history()
    random_history(history, seed, moves)
    before = {path: content for path, content in placed(history).items() if finished(path)}
    history.collector.collect(rules)
    history.collector.restore()
    after = placed(history)
    assert {path: after[path] for path in after if path in before} == before
    assert all(path.endswith("/curve.json") for path in after if path not in before and finished(path))
    assert history.collector.trash() == []
    history.clock.advance(rules.grace + 1)
    again = history.collector.collect(rules)
    assert [entry.place for entry in again.thrown] == []


@settings(HISTORIES, max_examples=6)
@given(SEEDS, MOVES, RULES)
def test_to_collect_twice_is_to_collect_once(
    new_history: Callable[[], History], seed: int, moves: int, rules: Rules
) -> None:
    history = new_history()
    random_history(history, seed, moves)
    history.collector.collect(rules)
    once, trash = placed(history), history.collector.trash()
    done = history.collector.collect(rules)
    assert placed(history) == once
    assert (done.thrown, done.purged, done.spared) == ((), (), ())
    assert history.collector.trash() == trash


@settings(HISTORIES, max_examples=5)
@given(SEEDS, MOVES, RULES)
def test_a_look_changes_nothing_and_says_what_a_collection_does(
    new_history: Callable[[], History], seed: int, moves: int, rules: Rules
) -> None:
    history = new_history()
    random_history(history, seed, moves)
    before, marks = placed(history), history.store.retention.marks()
    plan = history.collector.look(rules).plan
    assert placed(history) == before
    assert history.store.retention.marks() == marks
    history.collector.collect(rules)
    assert gone(plan) == set(before) - set(placed(history))
    assert {file.path for each in plan.judged for file in each.unit.files} == set(before)
    assert all(words for each in plan.judged for words in each.because)


def gone(plan: Plan) -> set[str]:
    return {file.path for each in plan.taken for file in each.unit.files}


@settings(HISTORIES, max_examples=5)
@given(SEEDS)
def test_once_nothing_is_wanted_any_more_everything_goes(
    new_history: Callable[[], History], seed: int
) -> None:
    """The collector would be of no use if it kept all: with no rule left only roots keep something."""
    history = new_history()
    random_history(history, seed)
    for job in history.jobs(JobState.WAITING, JobState.QUEUED):
        history.store.jobs.cancel(job.id)
    history.shipped()
    history.clock.advance(60 * DAY)
    rules = Rules(older_than=DAY, keep_last=0)
    needed = Needed(history, rules)
    history.collector.collect(rules)
    held = set(needed.resumable) | set(needed.finished)
    stray = [
        path
        for path in placed(history)
        if path.startswith("jobs/")
        and path.split("/")[1] not in held
        and not needed.stays(path)
        and not path.endswith("/curve.json")
    ]
    assert stray == []
