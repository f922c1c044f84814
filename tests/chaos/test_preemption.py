"""A job that makes room for a more urgent one loses nothing and runs once, whoever dies on the way."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ad_platform.states import AttemptOutcome, FailureClass, JobState
from ground import Ground

# What everyday runs try of it: tests/unit/workers/test_leasing.py, without processes that die.
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
EVERYDAY = "clustered"
LONG = 5000  # steps: who is about to end anyway makes room by that


@pytest.fixture
def land(stack: Ground) -> Iterator[Ground]:
    """Give the platform without a worker: one left over would take the jobs of the next."""
    yield stack
    for worker in stack.platform.workers:
        worker.kill()
        worker.wait()
    stack.platform.workers.clear()
    leases = stack.client.store.leases
    running = [JobState.RUNNING]
    stack.platform.wait(
        lambda: not (leases.reap(), stack.client.store.jobs.search(states=running))[1], "leases end", 30
    )
    stack.idle()


def sent(land: Ground, *, priority: int, steps: int, preemptible: bool = False) -> str:
    ask = land.asked(land.pictures(), settings={"steps": steps, "pause": 0.05})
    how = replace(ask.scheduling, priority=priority, preemptible=preemptible)
    return land.send(replace(ask, scheduling=how)).jobs[0].id


@pytest.mark.parametrize(
    "edge",
    [
        "give-back.before-commit",  # its checkpoint is written, and nobody told
        "preempt.before-commit",
        "preempt.after-commit",
        "give-back.after-commit",
    ],
)
def test_a_preempted_job_goes_on_from_its_checkpoint_whoever_dies_on_the_way(land: Ground, edge: str) -> None:
    platform = land.platform
    mortal = platform.start_worker(trap=f"{edge}:kill")
    low = sent(land, priority=0, steps=LONG, preemptible=True)
    land.reaches(low, 2)
    high = sent(land, priority=5, steps=8)
    mortal.wait(60)
    reached = land.committed(low)

    platform.start_worker()
    assert land.ended(high).state is JobState.SUCCEEDED
    land.reaches(low, reached + 2)
    again = sent(land, priority=5, steps=8)
    assert land.ended(again).state is JobState.SUCCEEDED
    platform.wait(lambda: land.job(low).attempt == 3, "it goes on a second time", 60)
    platform.wait(lambda: "resumed_step" in land.attempts(low)[2].facts, "it says from where", 60)

    assert land.outcomes(high) == land.outcomes(again) == ["succeeded"]
    lost = edge != "give-back.after-commit"
    assert land.outcomes(low)[:2] == ["lost" if lost else "given_back", "given_back"]
    assert land.job(low).failures == int(lost)
    assert land.job(low).failure in (None, FailureClass.LOST)
    events = land.client.store.jobs.events(low)
    assert [event.data["by"] for event in events if event.kind == "preempted"][-1] == again
    assert land.attempts(high)[0].facts["peak_rss_mb"] > 10
    # It went on from what was whole in the storage, of which a worker that dies may not have told the store.
    first = land.steps(low, 2)[0]
    assert reached < first <= land.steps(low)[-1] + 1
    assert land.attempts(low)[1].facts["resumed_step"] == first - 1
    # And when nobody died, from the very step that it was stopped at.
    assert land.steps(low, 2)[-1] == land.attempts(low)[2].facts["resumed_step"]
    for job in (high, again):
        first, last = (land.attempts(job)[0].started_at, land.attempts(job)[0].ended_at)
        assert last is not None
        # One that died ended when it was noticed, which is later than it stood in the way.
        alive = [one for one in land.attempts(low) if one.outcome is not AttemptOutcome.LOST]
        assert not [one for one in alive if one.started_at < first and (one.ended_at or last + 1) > last]
