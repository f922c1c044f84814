"""Benchmarks: submitted whole or not at all, once for each key, and open again when a job is new."""

from dataclasses import replace

import pytest

from ad_platform.errors import AmbiguousId, ClaimLost, InvalidValue, UnknownName
from ad_platform.records import Benchmark
from ad_platform.store.contract import Store
from store_cases import MINUTE, START, FakeClock, asked

FIRST = Benchmark(id="be01", name="tables", key="nightly", spec={"models": ["ddad"]}, user="ann")
JOBS = [asked(key="benchmark/tables/a", group="tables"), asked(key="benchmark/tables/b", group="tables")]


def test_a_benchmark_is_written_with_its_jobs_and_found_by_name_id_or_key(store: Store) -> None:
    made, jobs = store.benchmarks.create(FIRST, JOBS)
    assert [job.key for job in jobs] == ["benchmark/tables/a", "benchmark/tables/b"]
    assert (made.created_at, made.finished_at, made.version) == (START, None, 1)
    for name in ("tables", "TABLES", "be01", "be"):
        assert store.benchmarks.get(name) == made
    assert store.benchmarks.of_key("nightly") == made
    assert store.benchmarks.of_key("weekly") is None
    with pytest.raises(UnknownName, match="no benchmark named 'tabels'; did you mean tables"):
        store.benchmarks.get("tabels")
    store.benchmarks.create(replace(FIRST, id="be02", name="others", key=None), [])
    store.benchmarks.create(replace(FIRST, id="be03", name="more", key=None), [])  # no key is no clash
    with pytest.raises(AmbiguousId, match="id 'be0' fits several benchmarks"):
        store.benchmarks.get("be0")
    assert len(store.benchmarks.search()) == 3
    assert len(store.benchmarks.search(limit=1)) == 1


@pytest.mark.parametrize("again", [{"name": "elsewhere"}, {"key": None}, {}])
def test_the_same_key_or_name_twice_is_one_benchmark_and_submits_nothing(
    store: Store, again: dict[str, str | None]
) -> None:
    made, _ = store.benchmarks.create(FIRST, JOBS)
    second = replace(FIRST, id="be99", spec={}, **again)  # type: ignore[arg-type]
    assert store.benchmarks.create(second, [asked(key="benchmark/other", group="x")]) == (made, [])
    assert len(store.jobs.search()) == 2


def test_a_benchmark_with_a_job_that_cannot_be_is_not_written_at_all(store: Store) -> None:
    with pytest.raises(InvalidValue):
        store.benchmarks.create(FIRST, [*JOBS, asked(priority=999)])
    assert store.benchmarks.search() == []
    assert store.jobs.search() == []


def test_one_process_at_a_time_puts_results_together(store: Store, clock: FakeClock) -> None:
    store.benchmarks.create(FIRST, [])
    assert store.benchmarks.claim("be01", "a", MINUTE)
    assert not store.benchmarks.claim("be01", "b", MINUTE)
    with pytest.raises(ClaimLost, match="b no longer advances benchmark be01"):
        store.benchmarks.summarise("be01", "b", {"x": 1})
    store.benchmarks.release("be01", "a")
    assert store.benchmarks.claim("be01", "b", MINUTE)
    clock.advance(2 * MINUTE)
    with pytest.raises(ClaimLost):
        store.benchmarks.summarise("be01", "b", {"x": 1})
    assert store.benchmarks.get("be01").summary == {}


def test_a_benchmark_is_followed_until_its_results_are_complete_and_again_after_a_new_job(
    store: Store, clock: FakeClock
) -> None:
    _, jobs = store.benchmarks.create(FIRST, JOBS)
    assert [one.id for one in store.benchmarks.to_follow()] == ["be01"]
    assert store.benchmarks.claim("be01", "me", MINUTE)
    kept = store.benchmarks.summarise("be01", "me", {"x": 1})
    assert (kept.summary, kept.version, kept.finished_at) == ({"x": 1}, 2, None)
    assert store.benchmarks.summarise("be01", "me", {"x": 1}) == kept  # no news
    clock.advance(1)
    ended = store.benchmarks.summarise("be01", "me", {"x": 1}, jobs[-1].seq)
    assert (ended.version, ended.finished_at) == (3, START + 1)
    assert store.benchmarks.to_follow() == []

    store.jobs.submit([asked(group="unrelated")])
    assert store.benchmarks.to_follow() == []
    store.jobs.cancel(jobs[0].id)
    again = store.jobs.retry(jobs[0].id)
    assert [one.id for one in store.benchmarks.to_follow()] == ["be01"]
    opened = store.benchmarks.summarise("be01", "me", {"x": 2})
    assert (opened.version, opened.finished_at) == (4, None)
    assert store.benchmarks.summarise("be01", "me", {"x": 2}, again.seq).finished_at is not None
    assert store.benchmarks.to_follow() == []


def test_a_job_that_changes_nothing_is_no_news(store: Store) -> None:
    _, jobs = store.benchmarks.create(FIRST, JOBS)
    assert store.benchmarks.claim("be01", "me", MINUTE)
    ended = store.benchmarks.summarise("be01", "me", {"x": 1}, jobs[0].seq)
    assert len(store.benchmarks.to_follow()) == 1
    assert store.benchmarks.summarise("be01", "me", {"x": 1}, jobs[1].seq) == ended
    assert store.benchmarks.to_follow() == []


def test_a_benchmark_is_shipped_up_to_the_version_that_was_seen(store: Store) -> None:
    made, _ = store.benchmarks.create(FIRST, [])
    assert store.benchmarks.unshipped() == [made]
    assert store.benchmarks.claim("be01", "me", MINUTE)
    store.benchmarks.summarise("be01", "me", {"x": 1})
    store.benchmarks.shipped(made, "run")
    (left,) = store.benchmarks.unshipped()
    assert (left.shipped_version, left.run_id) == (1, "run")
    store.benchmarks.shipped(left, "run")
    store.benchmarks.shipped(made, "old")  # a shipper that was held up has no say any more
    assert store.benchmarks.unshipped() == []
    assert store.benchmarks.get("be01").run_id == "run"
