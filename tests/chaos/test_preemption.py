"""A job that makes room for a more urgent one loses nothing and runs once, whoever dies on the way."""

from dataclasses import replace

import pytest

from ad_platform.states import FailureClass, JobState
from ground import Ground

# What everyday runs try of it: tests/unit/workers/test_leasing.py, without processes that die.
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
EVERYDAY = "clustered"
LONG = 5000  # steps: who is about to end anyway makes room by that


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
    # It had committed all that it did when it was asked; what is made twice is at most what a death cost.
    assert land.steps(low, 2)[0] == reached + 1
    assert land.steps(low, 2)[-1] == land.attempts(low)[2].facts["resumed_step"]
    for job in (high, again):
        first, last = (land.attempts(job)[0].started_at, land.attempts(job)[0].ended_at)
        assert last is not None
        assert not [
            one for one in land.attempts(low) if one.started_at < first and (one.ended_at or last + 1) > last
        ]
