"""What `why` says of a queued job is what `lease` does with it, whatever the store holds."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ad_platform import offers
from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import Quota, Room, WorkerRecord
from ad_platform.specs import Submission
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from ad_platform.why import Kind, explain, warnings
from store_cases import MINUTE, SPEC, START, FakeClock, asked, holding

NODES = ("n1", "n2")
QUEUES = ("default", "night")
DETECTORS = ("ddad", "padim")
PRINTS = ("f1", "f2")


CARDS = {"devices": ["H100", "H100", "H100"], "memory_mb": 64_000}
SMALL = {"cards": [{"name": "H100", "uuid": f"GPU-{n}", "memory_mb": 1500} for n in range(3)]}
HALF_TAKEN = offers.Load(
    cards=tuple(
        offers.CardNow(uuid=f"GPU-{n}", name="H100", memory_mb=8000, room=Room(*room))
        for n, room in enumerate([(8000, True), (1900, False), (2500, False)])
    ),
    memory_mb=3000,
).to_json()


@dataclass(frozen=True)
class World:
    """What a store is filled with."""

    workers: tuple[WorkerRecord, ...]
    draining: tuple[bool, ...]
    held: frozenset[tuple[str, str]]
    jobs: tuple[Submission, ...]
    taken: int  # leases that are given before anybody asks
    paused: frozenset[str]
    quotas: tuple[Quota, ...] = ()


def some(values: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=least).map(lambda one: tuple(sorted(one)))


# Slots, facts and load, as they go together.
KINDS = [
    (1, {}, {}),
    (2, {}, {}),
    (1, {"devices": ["cpu"]}, {}),
    (2, {"devices": ["cpu", "cpu"], "memory_mb": 4000}, {"memory_mb": 1500}),
    (1, {"devices": ["H100"], "memory_mb": 1000}, {}),
    (3, CARDS, {}),
    (3, {**CARDS, **SMALL}, {}),
    (3, CARDS, HALF_TAKEN),
]


def one_worker(number: int) -> st.SearchStrategy[WorkerRecord]:
    return st.builds(
        lambda kind, **values: WorkerRecord(slots=kind[0], facts=kind[1], load=kind[2], **values),
        kind=st.sampled_from(KINDS),
        id=st.just(f"w{number}"),
        node=st.sampled_from(NODES),
        pid=st.just(1),
        queues=some(QUEUES, 1),
        detectors=some(DETECTORS, 1),
    )


JOB = st.builds(
    lambda detector, fingerprint, gpus, device, **values: asked(
        spec=replace(
            SPEC,
            detector=detector,
            dataset=replace(SPEC.dataset, fingerprint=fingerprint),
            device="auto" if gpus else device,
        ),
        gpus=gpus,
        **values,
    ),
    device=st.sampled_from(["auto", "cpu"]),
    detector=st.sampled_from(DETECTORS),
    fingerprint=st.sampled_from(PRINTS),
    user=st.sampled_from(["ann", "bob"]),
    queue=st.sampled_from(QUEUES),
    priority=st.integers(0, 1),
    gpus=st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
    memory_mb=st.sampled_from([0, 0, 2000]),
    not_before=st.sampled_from([0.0, 0.0, 0.0, START + MINUTE]),
    needs=st.sampled_from([(), (), ("#0",)]),
)
WORLDS = st.builds(
    World,
    workers=st.tuples(*(one_worker(number) for number in range(3))),
    draining=st.tuples(*(st.sampled_from([False, False, True]) for _ in range(3))),
    held=st.frozensets(st.tuples(st.sampled_from(NODES), st.sampled_from(PRINTS)), min_size=1),
    jobs=st.lists(JOB, min_size=1, max_size=6).map(lambda jobs: (replace(jobs[0], needs=()), *jobs[1:])),
    taken=st.integers(0, 3),
    paused=some(QUEUES).map(frozenset) | st.just(frozenset()),
    quotas=st.just(())
    | st.lists(
        st.builds(
            Quota,
            user=st.sampled_from(["ann", "bob"]),
            gpus=st.sampled_from([None, 1, 2]),
            jobs=st.sampled_from([0, 1, 1, 2, 2]),
        ),
        max_size=2,
    ).map(tuple),
)


def fill(store: Store, world: World) -> None:
    for one in world.workers:
        store.workers.register(one)
    store.workers.hold([holding(node, fingerprint) for node, fingerprint in sorted(world.held)])
    store.jobs.submit(world.jobs)
    for number in range(world.taken):
        roster = {one.id: one for one in store.workers.roster()}
        if (can := offers.free(roster[world.workers[number].id])) is not None:
            store.leases.lease(can, MINUTE)
    for quota in world.quotas:
        store.quotas.set(quota)
    for one, draining in zip(world.workers, world.draining, strict=True):
        if draining:
            store.workers.drain(one.id)
    for name in sorted(world.paused):
        store.queues.pause(name, "ann")


def leased_by_free_slots(store: Store) -> set[str]:
    """Return the jobs that the next lease of any free slot gives; each is given back at once."""
    found = set()
    for one in store.workers.roster():
        can = offers.free(one)
        if can is not None and (lease := store.leases.lease(can, MINUTE)):
            found.add(lease.job_id)
            store.leases.give_back(lease, "only asked")
    return found


@pytest.fixture
def fresh(store_url: str, wipe: Callable[[], None], tmp_path: Path) -> Iterator[Callable[[], Client]]:
    """Empties the store and gives a client of it."""
    store = open_store(store_url, clock=FakeClock())
    known = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_NODE": "n1", "ADCTL_USER": "ann"})

    def again() -> Client:
        wipe()
        return Client(known, store, MemoryQueue(), code={"version": "test"})

    yield again
    store.close()


def test_why_says_that_a_job_could_run_just_when_a_free_slot_would_lease_it(
    fresh: Callable[[], Client],
) -> None:
    seen: set[Kind] = set()

    @settings(
        max_examples=int(os.environ.get("ADCTL_EXAMPLES", "20")),
        derandomize="ADCTL_EXAMPLES" not in os.environ,  # so few may else miss what is asserted below
        suppress_health_check=list(HealthCheck),
    )
    @given(WORLDS)
    def check(world: World) -> None:
        client = fresh()
        fill(client.store, world)
        queued = client.store.jobs.search(states=[JobState.QUEUED])
        told = {job.id: explain(client, job) for job in queued}
        could = {job_id for job_id, reasons in told.items() if reasons.could_run}
        ready = {
            job_id for job_id, reasons in told.items() if [c.kind for c in reasons.causes] == [Kind.READY]
        }
        for reasons in told.values():
            assert reasons.lines
            assert all(line == " ".join(line.split()) or line.startswith("  ") for line in reasons.lines)
            assert set(warnings(client, [reasons.job])) <= set(reasons.lines)
            seen.update(cause.kind for cause in reasons.causes)
        assert could == ready == leased_by_free_slots(client.store)

    check()
    assert Kind.READY in seen
    assert len(seen) > 3


def test_a_job_that_nothing_blocks_stands_in_the_line_of_a_fitting_worker_and_no_other(
    fresh: Callable[[], Client],
) -> None:
    from ad_platform.why.fitting import lacks
    from ad_platform.why.sharing import used_up
    from ad_platform.why.situation import look, nodes_of

    @settings(
        max_examples=int(os.environ.get("ADCTL_EXAMPLES", "10")), suppress_health_check=list(HealthCheck)
    )
    @given(WORLDS)
    def check(world: World) -> None:
        store = (client := fresh()).store
        fill(store, world)
        situation = look(client)
        for one in client.workers():
            can = offers.ever(one)
            fitting = {
                job.id
                for job in store.jobs.search(states=[JobState.QUEUED])
                if not lacks(job, can, nodes_of(store, job))
                and job.queue not in world.paused
                and job.not_before <= START
                and one.state == "online"
                and used_up(job, situation, can) is None
            }
            assert {standing.job_id for standing in store.queues.line(can)} == fitting

    check()
