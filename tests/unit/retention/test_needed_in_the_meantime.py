"""What comes to be needed while files are moved is spared, brought back, or refused: never lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import AdctlError, Collected
from ad_platform.records import Job
from ad_platform.retention.collecting import Collection
from ad_platform.retention.facts import DAY, Rules
from ad_platform.states import JobState
from ad_platform.storage.stages import fetch_stage
from histories import History, whole
from timed_blobs import TimedBlobs

RULES = Rules(older_than=30 * DAY, keep_last=0)


class Watched(TimedBlobs):
    """Lets something happen before each step of a collection."""

    def __init__(self, blobs: TimedBlobs, happens: Callable[[], None]) -> None:
        self.clock, self.kept, self.happens = blobs.clock, blobs.kept, happens

    def copy(self, path: str, to: str) -> None:
        self.happens()
        super().copy(path, to)

    def put(self, path: str, content: bytes) -> None:
        self.happens()
        super().put(path, content)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.happens()
            super().delete([path])


def trained(history: History, *stages: str) -> Job:
    history.train()
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    return history.succeed(lease, [*stages, history.stage(lease)])


def failed(history: History) -> Job:
    history.train()
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    return history.fail(lease)


def old(history: History) -> None:
    """Let time pass, with nothing left to tell."""
    history.shipped()
    history.clock.advance(100 * DAY)


def while_at(history: History, step: int, deed: Callable[[], object]) -> tuple[Collection, bool]:
    """Collect, with a deed at one step; return what was done, and whether the deed was allowed."""
    steps, allowed = 0, True

    def happens() -> None:
        nonlocal steps, allowed
        steps += 1
        if steps == step:
            try:
                deed()
            except Collected:
                allowed = False

    assert isinstance(history.blobs, TimedBlobs)
    watched = replace(history, blobs=Watched(history.blobs, happens))
    return watched.collector.collect(RULES), allowed


@pytest.mark.parametrize("step", [1, 3, 5, 8, 12])
def test_a_promotion_in_the_midst_of_a_collection_is_refused_or_has_its_model(
    history: History, step: int
) -> None:
    job = trained(history)
    old(history)
    _, allowed = while_at(history, step, lambda: history.promote(job))
    assert not allowed
    assert not whole(history, str(job.result["bundle"]))
    with pytest.raises(Collected, match="gc restore"):
        history.evaluate(job)
    history.collector.restore([job.id])
    history.promote(job)
    history.evaluate(job)
    assert whole(history, str(job.result["bundle"]))


@pytest.mark.parametrize("deed", ["promote", "evaluate", "predict", "benchmark"])
def test_what_is_written_just_before_a_job_is_condemned_spares_it(history: History, deed: str) -> None:
    job = trained(history)
    history.evaluate(job)
    lease = history.lease()
    assert lease is not None
    scored = history.succeed(lease)
    old(history)
    before = dict(history.blobs.kept)  # type: ignore[attr-defined]
    retention = history.store.retention
    condemn = retention.condemn
    deeds: dict[str, Callable[[], object]] = {
        "promote": lambda: history.promote(job, evaluation=scored),
        "evaluate": lambda: history.evaluate(job),
        "predict": lambda: history.predict(job),
        "benchmark": lambda: history.benchmark("b", [scored.id]),
    }

    def first(owner: str, user: str, job_ids: Sequence[str]) -> frozenset[str]:
        deeds[deed]()
        return condemn(owner, user, job_ids)

    retention.condemn = first  # type: ignore[method-assign,assignment]
    try:
        done = history.collector.collect(RULES)
    finally:
        del retention.condemn  # type: ignore[attr-defined]
    assert f"jobs/{job.id}" in {entry.place for entry in done.thrown} | set(done.spared)
    bundles = [str(each.result["bundle"]) for each in (job, scored)]
    assert [whole(history, bundle) for bundle in bundles] == [True, True]
    assert [history.store.retention.marks().get(f"jobs/{each.id}") for each in (job, scored)] == [None, None]
    kept = {path: content for path, (content, _) in before.items() if path.startswith(bundles[0])}
    assert kept
    assert {path: history.blobs.get(path) for path in kept} == kept


def test_a_job_that_was_spared_by_a_collection_that_died_then_is_not_refused(history: History) -> None:
    job = trained(history)
    old(history)
    retention = history.store.retention
    condemn = retention.condemn

    def first(owner: str, user: str, job_ids: Sequence[str]) -> frozenset[str]:
        history.promote(job)
        return condemn(owner, user, job_ids)

    class Died(BaseException):
        """The process ended here."""

    def dies(*_: object) -> None:
        raise Died

    retention.condemn, retention.settle = first, dies  # type: ignore[method-assign,assignment]
    try:
        with pytest.raises(Died):
            history.collector.collect(RULES)
    finally:
        del retention.condemn, retention.settle  # type: ignore[attr-defined]
    assert history.storage.bundles(f"jobs/{job.id}/checkpoints") == []  # these did go
    with pytest.raises(Collected):
        history.evaluate(job)  # nobody knows yet what the dead one has taken
    history.collector.collect(RULES)
    history.evaluate(job)
    assert whole(history, str(job.result["bundle"]))


@pytest.mark.parametrize("step", [1, 2, 4, 7])
def test_a_retry_in_the_midst_of_a_collection_is_refused_or_goes_on(history: History, step: int) -> None:
    job = failed(history)
    resumed = history.resumed(job)
    old(history)
    _, allowed = while_at(history, step, lambda: history.store.jobs.retry(job.id))
    assert not allowed
    assert history.resumed(job) is None
    history.collector.restore([job.id[:8]])
    again = history.store.jobs.retry(job.id)
    assert history.resumed(again) == resumed


def test_a_trial_that_goes_on_from_old_checkpoints_gets_them_back(history: History) -> None:
    """A sweep names the job whose checkpoints count without asking whether they are there."""
    job = failed(history)
    resumed = history.resumed(job)
    old(history)
    made: list[Job] = []

    def deed() -> None:
        made.append(history.submit(history.spec(job.kind), retry_of=job.id))

    done, allowed = while_at(history, 2, deed)
    assert allowed
    assert history.resumed(made[0]) == resumed
    assert f"jobs/{job.id}" in done.spared


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_stage_that_a_new_job_may_look_for_comes_back(history: History, step: int, tmp_path: Path) -> None:
    job = trained(history)
    (key,) = [record.key for record in history.store.retention.stages()]
    old(history)
    _, allowed = while_at(history, step, lambda: history.train())
    assert allowed
    assert fetch_stage(history.storage, key, tmp_path / "stage") is not None
    assert not whole(history, str(job.result["bundle"]))


def test_a_stage_made_anew_stands_when_the_old_one_is_restored(history: History, tmp_path: Path) -> None:
    trained(history)
    (record,) = history.store.retention.stages()
    prefix = f"stages/{record.key}"
    old(history)
    history.collector.collect(RULES)
    anew = history.publish(prefix, "another one")
    restored = history.collector.restore([prefix])
    assert restored.stands == (prefix,)
    manifest = history.storage.manifest(prefix)
    assert manifest is not None
    assert manifest.sha256 == anew
    assert whole(history, prefix)
    assert [entry.place for entry in history.collector.trash() if entry.place == prefix] == []


def test_what_expired_and_is_needed_by_now_comes_back(history: History) -> None:
    trained(history)
    (record,) = history.store.retention.stages()
    old(history)
    history.collector.collect(RULES)
    assert not whole(history, f"stages/{record.key}")
    history.train()  # it may look for the stage
    history.clock.advance(8 * DAY)
    done = history.collector.collect(RULES)
    assert whole(history, f"stages/{record.key}")
    assert {entry.place.split("/")[0] for entry in done.purged} == {"jobs"}


def test_files_that_another_store_may_need_are_never_taken(history: History) -> None:
    trained(history)
    old(history)
    strange = history.publish("jobs/ffffffffffffffff/model/a1", "another store's")
    history.publish(f"stages/{'ef' * 32}", "whose is this?")
    history.blobs.put("notes/mine.txt", b"by hand")
    history.clock.advance(2 * DAY)
    plan = history.collector.look(RULES).plan
    kept = {each.unit.prefix: each.because[0] for each in plan.kept}
    assert "another one uses this storage too" in kept["jobs/ffffffffffffffff/model/a1"]
    assert "another store may need it" in kept[f"stages/{'ef' * 32}"]
    assert "does not know what it is" in kept["notes/mine.txt"]
    history.collector.collect(RULES)
    manifest = history.storage.manifest("jobs/ffffffffffffffff/model/a1")
    assert manifest is not None
    assert manifest.sha256 == strange


def test_a_running_job_keeps_all_that_it_writes_whatever_its_age(history: History) -> None:
    history.train()
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    history.blobs.put(f"jobs/{lease.job_id}/checkpoints/000000099-a1/v-ab/half", b"half")
    history.blobs.put(f"jobs/{lease.job_id}/model/.writing-ab", b"half")
    before = history.blobs.tree("jobs")
    history.clock.advance(200 * DAY)
    assert history.store.jobs.get(lease.job_id).state is JobState.RUNNING
    done = history.collector.collect(replace(RULES, grace=0.0, resumable=0.0, older_than=0.0))
    assert done.thrown == ()
    assert history.blobs.tree("jobs") == before


def test_a_curve_is_whole_when_its_checkpoints_are_gone(history: History) -> None:
    from histories import curve_of

    job = failed(history)
    again = history.store.jobs.retry(job.id)
    lease = history.lease()
    assert lease is not None
    history.work(lease)
    history.succeed(lease)
    history.clock.advance(2 * DAY)
    whole_curve = curve_of(history, again)
    assert whole_curve == list(range(1, 9))  # the first half was measured by the job that failed
    history.collector.collect(Rules())
    assert history.storage.bundles(f"jobs/{again.id}/checkpoints") == []
    assert history.storage.bundles(f"jobs/{job.id}/checkpoints") == []
    assert curve_of(history, again) == whole_curve
    with suppress(AdctlError):
        history.collector.restore()
    assert curve_of(history, again) == whole_curve
