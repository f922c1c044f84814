"""Workers and their data, what lies in the storage, champions and shipments."""

from dataclasses import replace

import pytest

from ad_platform.errors import ChampionChanged, IllegalTransition, InvalidValue, UnknownName
from ad_platform.records import Champion, CheckpointRecord, Job, Lease, Progress, StageRecord
from ad_platform.store.contract import Store
from store_cases import MINUTE, START, SUCCESS, FakeClock, holding, submit, take, worker


def test_the_roster_shows_workers_newest_first_with_what_they_hold(store: Store, clock: FakeClock) -> None:
    store.workers.register(worker("w1"))
    clock.advance(1)
    store.workers.register(replace(worker("w2"), queues=("a", "b"), facts={"gpu": "x"}))
    submit(store)
    take(store, "w1")
    new, old = store.workers.roster()
    assert (new.id, new.busy, new.queues, new.facts) == ("w2", 0, ("a", "b"), {"gpu": "x"})
    assert (old.id, old.busy, old.started_at, old.state) == ("w1", 1, START, "online")
    assert old.detectors == ("ddad",)


def test_a_worker_that_is_silent_or_left_is_gone_and_one_that_beats_is_not(
    store: Store, clock: FakeClock
) -> None:
    for name in ("silent", "beating", "left"):
        store.workers.register(worker(name))
    clock.advance(31)
    assert store.workers.beat("beating") == "online"
    store.workers.leave("left")
    assert {one.id: one.state for one in store.workers.roster()} == {
        "silent": "gone",
        "beating": "online",
        "left": "gone",
    }
    assert {one.state for one in store.workers.roster(silence=60) if one.id != "left"} == {"online"}
    assert store.workers.beat("silent") == "online"


def test_a_drain_reaches_the_worker_at_its_next_beat(store: Store) -> None:
    store.workers.register(worker("w1"))
    store.workers.drain("w1")
    store.workers.drain("w1")
    assert store.workers.beat("w1") == "draining"
    store.workers.leave("w1")
    store.workers.drain("w1")
    assert store.workers.beat("w1") == "gone"
    store.workers.register(worker("w1"))
    assert store.workers.beat("w1") == "online"


def test_an_unknown_worker_is_named_with_those_there_are(store: Store) -> None:
    store.workers.register(worker("gpu-1"))
    for call in (store.workers.beat, store.workers.drain, store.workers.leave):
        with pytest.raises(UnknownName, match="no worker named 'gpu-2'; did you mean gpu-1"):
            call("gpu-2")
    with pytest.raises(InvalidValue, match="not 'asleep'"):
        store.workers.register(replace(worker("w"), state="asleep"))


def test_a_holding_is_known_by_node_and_fingerprint(store: Store) -> None:
    store.workers.hold([holding("n2"), holding("n2", "f2"), holding("n1", path="/new")])
    assert [one.path for one in store.workers.holdings(node="n1")] == ["/new"]
    assert [one.node for one in store.workers.holdings(fingerprint="f1")] == ["n1", "n2"]
    assert len(store.workers.holdings(dataset="mvtec", category="bottle")) == 3
    assert store.workers.holdings(category="screw") == []
    store.workers.release("n2", "f1")
    store.workers.release("n2", "f1")
    assert [one.fingerprint for one in store.workers.holdings(node="n2")] == ["f2"]
    store.workers.hold([])


def test_the_newest_description_of_a_detector_stands(store: Store) -> None:
    store.workers.publish({"ddad": {"v": 1}, "padim": {"v": 1}}, "w1")
    store.workers.publish({"ddad": {"v": 2}}, "w2")
    assert store.workers.catalogue() == {"ddad": {"v": 2}, "padim": {"v": 1}}


def checkpoint(lease: Lease, step: int, prefix: str) -> CheckpointRecord:
    return CheckpointRecord(
        job_id=lease.job_id,
        attempt=lease.attempt,
        step=step,
        prefix=prefix,
        manifest_sha256="a" * 64,
        size=2**40,
    )


def test_checkpoints_come_highest_step_first_then_newest_attempt(store: Store, clock: FakeClock) -> None:
    submit(store)
    first = take(store)
    store.artifacts.record_checkpoint(first, checkpoint(first, 10, "1/10"))
    store.artifacts.record_checkpoint(first, checkpoint(first, 20, "1/20"))
    store.artifacts.record_checkpoint(first, checkpoint(first, 20, "1/20"))
    store.leases.give_back(first, "drained")
    clock.advance(1)
    second = take(store)
    store.artifacts.record_checkpoint(second, checkpoint(second, 20, "2/20"))
    found = store.artifacts.checkpoints(second.job_id)
    assert [one.prefix for one in found] == ["2/20", "1/20", "1/10"]
    assert found[0] == replace(checkpoint(second, 20, "2/20"), created_at=START + 1)
    store.artifacts.forget_checkpoints(second, ["1/10", "1/20", "other"])
    assert [one.prefix for one in store.artifacts.checkpoints(second.job_id)] == ["2/20"]


def test_an_attempt_records_only_checkpoints_of_its_own(store: Store) -> None:
    submit(store)
    lease = take(store)
    with pytest.raises(InvalidValue, match="cannot record a checkpoint of attempt 2"):
        store.artifacts.record_checkpoint(lease, replace(checkpoint(lease, 1, "p"), attempt=2))


def test_the_first_record_of_a_stage_stands(store: Store) -> None:
    submit(store)
    lease = take(store)
    stage = StageRecord(
        key="k", detector="ddad", stage="denoiser", job_id=lease.job_id, manifest_sha256="a", size=1
    )
    store.artifacts.record_stage(lease, stage)
    store.artifacts.record_stage(lease, replace(stage, manifest_sha256="b"))
    assert store.artifacts.stage("k") == replace(stage, created_at=START)
    assert store.artifacts.stage("other") is None


def succeeded(store: Store) -> Job:
    submit(store)
    return store.leases.finish(take(store), SUCCESS)


def decision(job: Job, revision: int, alias: str = "champion") -> Champion:
    return Champion(
        model="ddad-mvtec-bottle",
        alias=alias,
        revision=revision,
        job_id=job.id,
        user="ann",
        reason="better",
        evidence={"auroc": 0.9},
    )


def test_the_highest_revision_is_in_force(store: Store) -> None:
    job = succeeded(store)
    assert store.champions.current("ddad-mvtec-bottle", "champion") is None
    first = store.champions.promote(decision(job, 1))
    assert first == replace(decision(job, 1), at=START)
    second = store.champions.promote(decision(job, 2))
    store.champions.promote(decision(job, 1, alias="candidate"))
    assert store.champions.current("ddad-mvtec-bottle", "champion") == second
    assert [(one.alias, one.revision) for one in store.champions.history()] == [
        ("candidate", 1),
        ("champion", 2),
        ("champion", 1),
    ]
    assert store.champions.history("other") == []
    assert len(store.champions.history("ddad-mvtec-bottle")) == 3


@pytest.mark.parametrize("revision", [-1, 0, 1, 3])
def test_a_decision_made_on_an_older_one_is_refused(store: Store, revision: int) -> None:
    job = succeeded(store)
    store.champions.promote(decision(job, 1))
    with pytest.raises(ChampionChanged, match="is at revision 1"):
        store.champions.promote(decision(job, revision))
    assert len(store.champions.history()) == 1


def test_only_a_job_that_succeeded_can_be_promoted(store: Store) -> None:
    job = submit(store)
    with pytest.raises(IllegalTransition, match="queued and cannot become promoted"):
        store.champions.promote(decision(job, 1))


def test_only_decisions_in_force_are_to_be_published(store: Store) -> None:
    job = succeeded(store)
    store.champions.promote(decision(job, 1))
    second = store.champions.promote(decision(job, 2))
    other = store.champions.promote(decision(job, 1, alias="candidate"))
    assert store.champions.unpublished() == [second, other]
    assert store.champions.in_force() == [second, other]
    store.champions.published(second, "7")
    assert store.champions.unpublished() == [other]
    current = store.champions.current("ddad-mvtec-bottle", "champion")
    assert current is not None
    assert current.published == "7"
    assert store.champions.in_force() == [current, other]


def test_what_changed_is_due_until_it_was_shipped(store: Store) -> None:
    job = submit(store)
    shipment = store.shipments.claim("s1", MINUTE)[0]
    assert (shipment.job.id, shipment.owner, shipment.run_id, shipment.shipped_step) == (
        job.id,
        "s1",
        None,
        0,
    )
    store.shipments.done(shipment, "run", 5)
    assert store.shipments.claim("s1", MINUTE) == []
    lease = take(store)
    store.leases.renew(lease, Progress(step=1))
    again = store.shipments.claim("s1", MINUTE)[0]
    assert (again.run_id, again.shipped_step) == ("run", 5)


def test_a_change_during_shipping_keeps_the_job_due(store: Store) -> None:
    submit(store)
    shipment = store.shipments.claim("s1", MINUTE)[0]
    take(store)
    store.shipments.done(shipment, "run", 0)
    assert len(store.shipments.claim("s2", MINUTE)) == 1


def test_a_committed_checkpoint_and_new_facts_make_a_job_due(store: Store) -> None:
    submit(store)
    lease = take(store)
    store.shipments.done(store.shipments.claim("s1", MINUTE)[0], "run", 0)
    store.artifacts.record_checkpoint(lease, checkpoint(lease, 1, "p"))
    store.shipments.done(store.shipments.claim("s1", MINUTE)[0], "run", 1)
    store.leases.note(lease, {"host": "h"})
    assert len(store.shipments.claim("s1", MINUTE)) == 1


def test_no_two_shippers_get_the_same_job_until_the_claim_runs_out(store: Store, clock: FakeClock) -> None:
    jobs = [submit(store).id for _ in range(3)]
    first = store.shipments.claim("s1", MINUTE, limit=2)
    second = store.shipments.claim("s2", MINUTE)
    assert sorted(one.job.id for one in [*first, *second]) == sorted(jobs)
    assert len(first) == 2
    clock.advance(MINUTE)
    taken_over = store.shipments.claim("s2", MINUTE)
    assert len(taken_over) == 3
    assert [one.left_undone for one in [*first, *second, *taken_over]] == [False] * 3 + [True] * 3
    store.shipments.done(first[0], "wrong", 99)
    for shipment in taken_over:
        store.shipments.done(shipment, "right", 1)
    # Two have shipped it at once: somebody has to look what came of that.
    (after,) = store.shipments.claim("s3", MINUTE)
    assert (after.job.id, after.run_id, after.shipped_step) == (first[0].job.id, "right", 1)
    assert not after.left_undone
    store.shipments.done(after, "right", 1)
    assert store.shipments.claim("s3", MINUTE) == []


def test_what_is_shipped_may_stay_due_for_later(store: Store, clock: FakeClock) -> None:
    submit(store)
    (shipment,) = store.shipments.claim("s1", MINUTE)
    store.shipments.done(shipment, "run", 3, again_in=MINUTE)
    assert store.shipments.claim("s1", MINUTE) == []
    clock.advance(MINUTE)
    (again,) = store.shipments.claim("s1", MINUTE)
    assert (again.run_id, again.shipped_step, again.left_undone) == ("run", 3, False)
    store.shipments.done(again, "run", 3)
    clock.advance(MINUTE)
    assert store.shipments.claim("s1", MINUTE) == []


def test_a_claim_let_go_is_free_for_anybody_at_once(store: Store, clock: FakeClock) -> None:
    submit(store)
    first = store.shipments.claim("s1", MINUTE)[0]
    assert store.shipments.claim("s2", MINUTE) == []
    store.shipments.release(first)
    second = store.shipments.claim("s2", MINUTE)[0]
    assert (second.job.id, second.version, second.shipped_step) == (first.job.id, first.version, 0)
    assert (first.left_undone, second.left_undone) == (False, True)
    store.shipments.release(first)  # it is another's by now
    assert store.shipments.claim("s3", MINUTE) == []


def test_a_claim_of_no_time_is_refused(store: Store) -> None:
    with pytest.raises(InvalidValue, match="more than 0 seconds"):
        store.shipments.claim("s1", 0)
