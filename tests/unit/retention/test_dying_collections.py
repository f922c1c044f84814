"""Wherever a collection, a restore or an emptying dies: every bundle is whole, and the next one ends it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from ad_platform.retention.facts import DAY, Rules
from ad_platform.states import CollectedState
from ad_platform.storage.bundles import MANIFEST
from ad_platform.storage.layout import benchmark_prefix
from ad_platform.store.retention_contract import Mark, Retention
from histories import History
from timed_blobs import TimedBlobs

RULES = Rules(older_than=30 * DAY, keep_last=0)


class Died(BaseException):
    """The process ended here: nothing after it is run."""


class Fuse:
    """Counts what has an effect outside, and ends the process at one of them, before or after it."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count, self.burnt = at, 0, False

    def step(self) -> None:
        self.count += 1
        if self.burnt or self.count == self.at:
            self.burnt = True
            raise Died


class MortalBlobs(TimedBlobs):
    """A dictionary of files that a process dies over."""

    def __init__(self, blobs: TimedBlobs, fuse: Fuse) -> None:
        self.clock, self.kept, self.fuse = blobs.clock, blobs.kept, fuse

    def put(self, path: str, content: bytes) -> None:
        self.fuse.step()
        super().put(path, content)

    def copy(self, path: str, to: str) -> None:
        self.fuse.step()
        super().copy(path, to)

    def delete(self, paths: Collection[str]) -> None:  # type: ignore[override]
        for path in paths:
            self.fuse.step()
            super().delete([path])


class MortalRetention:
    """A store's part that a process dies over; what is dead lets nothing go."""

    def __init__(self, retention: Retention, fuse: Fuse) -> None:
        self._retention, self._fuse = retention, fuse

    def condemn(self, owner: str, user: str, job_ids: Collection[str]) -> frozenset[str]:
        self._fuse.step()
        found = self._retention.condemn(owner, user, job_ids)
        self._fuse.step()
        return found

    def settle(self, owner: str, user: str, marks: Mapping[str, CollectedState | None]) -> None:
        self._fuse.step()
        self._retention.settle(owner, user, marks)
        self._fuse.step()

    def release(self, owner: str) -> None:
        if not self._fuse.burnt:
            self._retention.release(owner)

    def __getattr__(self, name: str) -> object:
        return getattr(self._retention, name)


def scene(history: History) -> None:
    """Make something of every kind, needed and not."""

    def trained(**more: object) -> str:
        job = history.train(**more)
        lease = history.lease()
        assert lease is not None
        history.work(lease)
        history.succeed(lease, [history.stage(lease)])
        return job.id

    champion = history.store.jobs.get(trained())
    history.promote(champion)
    trained(category="screw")
    history.train()
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    history.fail(lease)
    benchmark = history.benchmark("b")
    for job in history.jobs():
        history.store.jobs.cancel(job.id)
    history.conclude(benchmark)
    history.publish(benchmark_prefix(benchmark.id, 99), "tables that nobody names")
    history.predict(champion)
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    history.succeed(lease)
    history.blobs.put(f"jobs/{champion.id}/results/a9/v-abc/half", b"half a file")
    history.clock.advance(100 * DAY)
    history.shipped()
    trained()  # one that is young
    history.shipped()


@pytest.fixture
def blobs(history: History) -> TimedBlobs:
    scene(history)
    return cast("TimedBlobs", history.blobs)


def mortal(history: History, blobs: TimedBlobs, at: int | None) -> tuple[History, Fuse]:
    """Return the same history as it is for a process that dies at some step."""
    fuse = Fuse(at)
    dying = replace(history, blobs=MortalBlobs(blobs, fuse))
    retention = history.store.retention
    history.store.retention = cast("Retention", MortalRetention(retention, fuse))
    return dying, fuse


def whole_somewhere(history: History, blobs: TimedBlobs, before: Mapping[str, bytes]) -> list[str]:
    """Return the bundles that are whole neither in their place nor in the trash."""
    placed, kept = blobs.placed, history.collector.trash()
    lost = []
    for path in before:
        if not path.endswith(MANIFEST):
            continue
        prefix = path.removesuffix(f"/{MANIFEST}")
        files = [each for each in before if each.startswith(f"{prefix}/")]
        here = all(placed.get(each) == before[each] for each in files)
        there = any(
            all(blobs.kept.get(entry.kept(each), (None,))[0] == before[each] for each in files)
            for entry in kept
        )
        # Without its manifest a bundle is not there: in part it must never be.
        if not here and (not there or path in placed):
            lost.append(prefix)
    return lost


def each_death(
    history: History, blobs: TimedBlobs, act: Callable[[History], object], then: Callable[[], None]
) -> int:
    """Let an act die at each of its steps in turn, from the same beginning; return how many there were."""
    start, now, retention = dict(blobs.kept), history.clock.now, history.store.retention
    marks = retention.marks()
    at = 0
    while True:
        at += 1
        dying, fuse = mortal(history, blobs, at)
        with suppress(Died):
            act(dying)
        history.store.retention = retention
        if not fuse.burnt:
            return at - 1
        history.clock.advance(120)  # the claim of the dead runs out
        then()
        blobs.kept.clear()
        blobs.kept.update(start)
        history.clock.now = now
        again(retention, marks)


def again(retention: Retention, marks: Mapping[str, Mark]) -> None:
    """Have the store remember of collections what it did before."""
    retention.release(retention.holder() or "")
    assert retention.claim("t", 1e9)
    changed: dict[str, CollectedState | None] = dict.fromkeys(retention.marks())
    changed |= {place: mark.state for place, mark in marks.items()}
    retention.settle("t", "kim", changed)
    retention.release("t")


def lasting(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if not path.endswith("/curve.json")}


def test_a_collection_that_dies_anywhere_is_ended_by_the_next(history: History, blobs: TimedBlobs) -> None:
    before, start = blobs.placed, dict(blobs.kept)
    history.collector.collect(RULES)
    end, marks = blobs.placed, history.store.retention.marks()
    assert 0 < len(end) < len(before)
    blobs.kept.clear()
    blobs.kept.update(start)
    again(history.store.retention, {})

    def then() -> None:
        assert whole_somewhere(history, blobs, before) == []
        history.collector.collect(RULES)
        assert blobs.placed == end
        now = history.store.retention.marks()
        assert {place: mark.state for place, mark in now.items()} == {
            place: mark.state for place, mark in marks.items()
        }
        history.collector.restore()
        assert lasting(blobs.placed) == before

    steps = each_death(history, blobs, lambda dying: dying.collector.collect(RULES), then)
    assert steps > 60


def test_after_a_collection_that_died_anywhere_all_can_be_restored(
    history: History, blobs: TimedBlobs
) -> None:
    before = blobs.placed

    def then() -> None:
        history.collector.restore()
        assert lasting(blobs.placed) == before
        assert not [path for path in blobs.kept if path.startswith("trash/")]

    assert each_death(history, blobs, lambda dying: dying.collector.collect(RULES), then) > 60


def test_a_restore_that_dies_anywhere_is_ended_by_the_next_one_or_by_a_collection(
    history: History, blobs: TimedBlobs
) -> None:
    before = blobs.placed
    history.collector.collect(RULES)
    turns = iter(range(10_000))

    def then() -> None:
        assert whole_somewhere(history, blobs, before) == []
        if next(turns) % 2:
            history.collector.restore()
            assert lasting(blobs.placed) == before
            return
        wanted = {
            place
            for place, mark in history.store.retention.marks().items()
            if mark.state is CollectedState.RESTORED
        }
        history.collector.collect(RULES)
        placed = blobs.placed
        assert all(path in placed for path in before for place in wanted if path.startswith(f"{place}/"))
        history.collector.restore()
        assert lasting(blobs.placed) == before

    assert each_death(history, blobs, lambda dying: dying.collector.restore(), then) > 60


def test_an_emptying_that_dies_anywhere_leaves_whole_entries_and_ends_with_the_next(
    history: History, blobs: TimedBlobs
) -> None:
    history.collector.collect(RULES)
    placed, trash = blobs.placed, {entry.place: entry for entry in history.collector.trash()}

    def then() -> None:
        for entry in history.collector.trash():
            assert entry == trash[entry.place]
            assert all(entry.kept(path) in blobs.kept for path in entry.paths)
        history.collector.empty()
        assert blobs.kept.keys() == placed.keys()
        marks = history.store.retention.marks()
        assert {mark.state for mark in marks.values()} == {CollectedState.PURGED}

    assert each_death(history, blobs, lambda dying: dying.collector.empty(), then) > 30
