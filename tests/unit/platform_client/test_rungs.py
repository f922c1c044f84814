"""Promises of what is known of a trial from what its job reported."""

from dataclasses import replace

from ad_platform.records import Job, Progress
from ad_platform.rungs import beside_rungs, rungs_of, seen_of
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import JobKind, JobState

FIRST = "validation/image_auroc"
DATA = DatasetRef(dataset="d", category="c", fingerprint="f", path="/")
SPEC = JobSpec(kind=JobKind.TRIAL, detector="ddad", dataset=DATA, measures=(FIRST, "latency_ms"))
JOB = Job(id="ab", seq=1, spec=SPEC, state=JobState.RUNNING, user="ann")
TOLD = {f"rung/{number}": number / 20 for number in range(1, 11)}


def test_rungs_come_in_their_order_however_their_names_are_sorted():
    shuffled = dict(sorted({FIRST: 0.5, **TOLD}.items()))
    assert list(shuffled)[:3] == ["rung/1", "rung/10", "rung/2"]
    assert rungs_of(shuffled) == tuple(number / 20 for number in range(1, 11))
    assert rungs_of({"train/loss": 1.0, "rung/2": 0.5}) == ()
    assert beside_rungs(shuffled) == {FIRST: 0.5}


def test_a_running_trial_is_known_by_its_newest_estimate_and_an_ended_one_by_its_measure():
    fitting = replace(JOB, progress=Progress(step=1, of=9, metrics={"train/loss": 1.0}))
    scoring = replace(JOB, progress=Progress(step=9, of=9, metrics={FIRST: 0.5, **TOLD}))
    done = replace(scoring, state=JobState.SUCCEEDED, result={"metrics": {FIRST: 0.75}})

    for job, value, rungs in ((fitting, None, 0), (scoring, 0.5, 10), (done, 0.75, 10)):
        seen = seen_of(job)
        assert seen is not None
        assert (seen.metric, seen.value, len(seen.rungs)) == (FIRST, value, rungs)


def test_nothing_is_seen_of_a_job_that_is_no_trial():
    assert seen_of(replace(JOB, spec=replace(SPEC, kind=JobKind.TRAIN, measures=()))) is None


def test_a_job_is_pruned_once_it_ended_by_that_alone():
    asked = replace(JOB, prune_requested=True)
    assert not asked.pruned
    ended = replace(asked, state=JobState.CANCELLED)
    assert ended.pruned
    assert not replace(ended, cancel_requested=True).pruned
    assert not replace(asked, state=JobState.SUCCEEDED).pruned
