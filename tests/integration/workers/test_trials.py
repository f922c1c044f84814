"""Trials on a real worker: rungs reach the store, a prune ends them in time, a kill costs no training."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.specs import Json, Submission
from ad_platform.states import JobKind, JobState
from ad_platform.storage.metrics import read_segments
from desks import make_category
from ground import AT_ONCE, Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]

FIRST = "validation/image_auroc"
STEPS = 6


def submit(land: Ground, normal: int = 20, **settings: Json) -> str:
    """Submit a trial that holds half of its normal images out; of each it makes two anomalous ones."""
    category = land.platform.home / "data" / "made" / f"tried-{normal}"
    if not category.exists():
        make_category(category, test=False, normal=normal)
    ask = land.asked(category, settings={"steps": STEPS, "at": 4, **settings})
    land.client.hold(ask.dataset)
    (planned,) = land.client.plan_train(replace(ask, holdout="50/10", checkpoint_every=1))
    spec = replace(planned.spec, kind=JobKind.TRIAL, measures=(FIRST, "validation/pixel_auroc"))
    return land.client.submit([replace(planned, spec=spec)]).jobs[0].id


def rungs(land: Ground, job: str) -> list[str]:
    """Return the rungs that the store has heard of."""
    return sorted(name for name in land.job(job).progress.metrics if name.startswith("rung/"))


def test_a_trial_tells_its_rungs_while_it_scores_and_a_prune_ends_it_at_once(land: Ground, worker):
    job = submit(land, 60, trouble="scoring slowly", pause=0.08)
    land.platform.wait(lambda: rungs(land, job), "the first rung is told", 60)
    told = land.job(job).progress
    newest = len(told.metrics) - 1
    assert told.message == f"scoring images, rung {newest} of 8"
    assert told.metrics[FIRST] == told.metrics[f"rung/{newest}"]
    processes = land.offspring(worker)
    land.client.store.jobs.prune(job)
    began = time.monotonic()
    ended = land.ended(job, AT_ONCE)
    assert time.monotonic() - began < AT_ONCE
    land.die(processes, 1.0)
    _is_pruned(land, job)
    assert ended.progress.metrics["rung/1"] == told.metrics["rung/1"]
    assert "rung/8" not in ended.progress.metrics
    assert land.client.store.jobs.prune(job) == ended
    manifest = land.storage.manifest(land.stored(job)[0])
    assert manifest is not None
    assert any(FIRST in point.metrics for point in read_segments(land.storage, manifest))


def test_a_trial_that_does_not_listen_to_a_prune_is_killed_and_ends_as_pruned(land: Ground, worker):
    job = submit(land, trouble="scoring hang")
    land.platform.wait(lambda: rungs(land, job), "the first rungs are told", 60)
    processes = land.offspring(worker)
    land.client.store.jobs.prune(job)
    began = time.monotonic()
    land.ended(job, AT_ONCE)
    assert time.monotonic() - began < AT_ONCE
    land.die(processes, 1.0)
    _is_pruned(land, job)


def _is_pruned(land: Ground, job: str) -> None:
    ended = land.job(job)
    assert (ended.state, ended.failure, ended.cancel_requested) == (JobState.CANCELLED, None, False)
    assert ended.pruned
    assert ended.error.startswith("pruned")
    assert land.outcomes(job) == ["cancelled"]
    assert land.attempts(job)[0].error.startswith("pruned")
    assert [event.kind for event in land.client.events(ended)][-2:] == ["prune-requested", "pruned"]


def test_a_trial_whose_process_is_killed_while_it_scores_goes_on_without_training_again(
    land: Ground, worker, tmp_path: Path
):
    gate = tmp_path / "gate"
    job = submit(land, trouble="scoring gate", file=str(gate))
    land.platform.wait(lambda: rungs(land, job), "the first rungs are told", 60)
    (child,) = land.offspring(worker)
    child.kill()
    gate.touch()
    ended = land.ended(job)
    assert ended.state is JobState.SUCCEEDED
    assert land.outcomes(job) == ["failed", "succeeded"]
    assert (land.steps(job, 1), land.steps(job, 2)) == (list(range(1, STEPS + 1)), [])
    # The witness scores a batch before those that were left.
    assert land.printed(job, 2).count("scored ") == 1 + 2
    assert (ended.result["steps"], ended.result["images"]) == (STEPS, 30)
    # The same settings once more, with nothing in the way: what was trained is found, too.
    (twin,) = land.client.submit([Submission(spec=land.job(job).spec, user="ann")]).jobs
    straight = land.ended(twin.id)
    assert land.steps(twin.id) == []
    assert straight.result["steps"] == 0
    for name in ("metrics", "rungs", "images"):
        assert straight.result[name] == ended.result[name]
    assert ended.result["rungs"][-1] == ended.result["metrics"][FIRST]  # type: ignore[index,call-overload]
    assert len(rungs(land, twin.id)) == 8
