"""Promises of what is said of a trial's job: how it stands, what was seen of it, and what to do with it."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from ad_cli.change_lines import ChangeLines
from ad_cli.hints import Hints
from ad_cli.pace import Pace, Speed
from ad_cli.watch_view import Shown, lines
from ad_platform.records import Capabilities, Job, Lease, Outcome, Progress
from ad_platform.requests import Snapshot
from ad_platform.specs import Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, JobState
from clientkit import Bench

FIRST, LATENCY = "validation/image_auroc", "latency_ms"
RUNGS = {"rung/1": 0.7, "rung/2": 0.8, "rung/3": 0.8125}
SEEN = Progress(
    step=45, of=80, metrics={FIRST: 0.8125, **RUNGS}, message="scoring images, rung 3 of 8", images=24
)
RESULT = {
    "bundle": "jobs/x/results/a1",
    "metrics": {FIRST: 0.94131, LATENCY: 12.34, "validation/saturated": 0.0, "validation/ties": 0.25},
    "rungs": [0.7, 0.8, 0.8125, 0.9, 0.91, 0.92, 0.93, 0.94131],
    "images": 30,
    "steps": 0,
    "fit_seconds": 0.5,
    "seconds": 3.5,
    "ms_per_image": 12.34,
}
PRUNED = Outcome(outcome=AttemptOutcome.CANCELLED, error="pruned: the trial was not worth finishing")

Submit = Callable[..., Job]


@pytest.fixture
def submit(desk: Bench, adctl, screw) -> Submit:
    """Submit a trial as a study does; it is taken by a worker at once."""
    planned = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()
    spec = replace(desk.store.jobs.get(planned).spec, kind=JobKind.TRIAL, measures=(FIRST, LATENCY))
    desk.store.jobs.cancel(planned)

    def ask(*measures: str, lease: bool = True, **config: object) -> Job:
        own = replace(spec, measures=measures or spec.measures, config={**spec.config, **config})
        (job,) = desk.store.jobs.submit([Submission(spec=own, user="kim", group="screws")])
        if lease:
            able = Capabilities(worker="w1", node=desk.client.settings.node, detectors=frozenset({"toy"}))
            assert desk.store.leases.lease(able, 60.0, job.id) is not None
        return desk.store.jobs.get(job.id)

    return ask


def lease_of(desk: Bench, job: Job) -> Lease:
    return Lease(job=job, attempt=job.attempt, worker="w1", seconds=60.0)


def seen(desk: Bench, job: Job) -> Job:
    desk.store.leases.renew(lease_of(desk, job), SEEN)
    return desk.store.jobs.get(job.id)


def pruned(desk: Bench, job: Job) -> Job:
    desk.store.jobs.prune(seen(desk, job).id)
    return desk.store.leases.finish(lease_of(desk, job), PRUNED)


def done(desk: Bench, job: Job, **more: object) -> Job:
    outcome = Outcome(outcome=AttemptOutcome.SUCCEEDED, result={**RESULT, **more})  # type: ignore[dict-item]
    return desk.store.leases.finish(lease_of(desk, seen(desk, job)), outcome)


def row_of(adctl, job: Job) -> list[str]:
    return next(line.split() for line in adctl("list").out.splitlines() if line.startswith(job.id[:8]))


def test_a_list_shows_the_first_measure_of_a_trial_and_what_was_seen_of_a_pruned_one(
    adctl, desk: Bench, submit: Submit
):
    whole, ended = done(desk, submit()), pruned(desk, submit())
    unseen = desk.store.jobs.prune(submit(lease=False).id)
    slow = done(desk, submit(LATENCY))

    assert row_of(adctl, whole)[1:7] == ["succeeded", "trial", "toy", "parts/screw", "AUROC", "0.9413"]
    assert row_of(adctl, ended)[1:8] == ["pruned", "trial", "toy", "parts/screw", "rung", "3", "0.812"]
    assert row_of(adctl, unseen)[1:6] == ["pruned", "trial", "toy", "parts/screw", "-"]
    assert row_of(adctl, slow)[5:7] == ["12.34", "ms"]
    assert row_of(adctl, submit())[1] == "running"
    only = adctl("list", "--kind", "trial", "--sort", FIRST, "-q").out.split()
    assert only[0] in (whole.id, slow.id)
    assert len(only) == 5


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("test/pixel_auroc", "pxAUROC 0.94"),
        ("validation/aupro_30", "AUPRO 0.9413"),
        ("test/aupro_05", "AUPRO05 0.94"),
        ("test/image_f1_max", "F1 0.9413"),
    ],
)
def test_every_measure_fits_the_column(adctl, desk: Bench, submit: Submit, measure: str, said: str):
    job = done(desk, submit(measure), metrics={measure: 0.94131})

    assert " ".join(row_of(adctl, job)[5:]).startswith(said)
    assert len(said) <= 12


def test_a_trial_that_is_told_to_end_says_so_while_it_runs(adctl, desk: Bench, submit: Submit):
    job = seen(desk, submit())
    desk.store.jobs.prune(job.id)

    assert row_of(adctl, job)[1] == "pruning"
    told = adctl("why", job.id).out
    assert re.search(r"it was told to end (just now|\ds ago) since it is not worth finishing", told)
    assert adctl("why", job.id, "-q").out == "running pruning\n"
    desk.store.jobs.cancel(job.id)
    assert row_of(adctl, job)[1] == "cancelling"


def test_show_lays_out_measures_and_rungs(adctl, desk: Bench, submit: Submit):
    job = submit()
    running = adctl("show", seen(desk, job).id).out
    whole = adctl("show", done(desk, job).id).out

    lines_of = {line.split()[0]: line.split()[1:] for line in running.splitlines() if line.strip()}
    assert lines_of["measures"] == [FIRST, LATENCY]
    assert lines_of["rungs"] == ["0.7000", "0.8000", "0.8125"]
    assert lines_of["metrics"] == [FIRST, "0.8125"]
    result = {line.split()[0]: line.split()[1:] for line in whole.splitlines() if line.strip()}
    assert result["rungs"][-1] == "0.9413"
    assert result["images"] == ["30"]
    assert result[FIRST] == ["0.94131"]
    assert "test images" not in whole


def test_a_pruned_trial_is_shown_and_explained_as_pruned(adctl, desk: Bench, submit: Submit):
    job = pruned(desk, submit())

    shown = adctl("show", job.id).out
    told = adctl("why", job.id)

    assert [line.split() for line in shown.splitlines() if line.startswith("state")] == [["state", "pruned"]]
    assert "0.7000 0.8000 0.8125" in shown
    assert told.out.splitlines()[0] == f"{job.id}  trial pruned"
    assert re.search(
        r"it was pruned (just now|\ds ago): not worth finishing by what was seen of it", told.out
    )
    assert f"({FIRST} 0.8125 at rung 3)" in told.out
    assert "see the others of its study: adctl list --group screws" in told.out
    assert adctl("why", job.id, "-q").out == "pruned\n"
    refused = adctl("cancel", job.id)
    assert (refused.code, "was pruned already" in refused.err) == (3, True)


def test_a_watch_of_trials_ends_with_their_measures_and_counts_no_pruned_one_as_cancelled(
    adctl, desk: Bench, submit: Submit
):
    whole, ended = done(desk, submit()), pruned(desk, submit())

    called = adctl("watch", whole.id, ended.id)

    assert called.code == 0
    first, second = called.out.splitlines()
    assert "trial toy on parts/screw: succeeded after" in first
    assert first.endswith("AUROC 0.9413  12.34 ms")
    assert "trial toy on parts/screw: pruned after" in second
    assert second.endswith("rung 3 0.812")
    cancelled = desk.store.jobs.cancel(submit(lease=False).id)
    assert adctl("watch", whole.id, cancelled.id).code == 11


def test_a_watched_trial_shows_its_newest_estimate_and_not_every_rung(desk: Bench, submit: Submit):
    job = seen(desk, submit())
    pace = Pace(lambda: 0.0)

    drawn = "\n".join(lines([Shown(job=job, speed=Speed())], "", 120, 20, coloured=False))
    (line,) = ChangeLines(pace, Hints(desk.client, lambda: 0.0)).of(Snapshot(jobs=(job,)))

    for said in (drawn, line):
        assert "image auroc 0.8125" in said
        assert "scoring images, rung 3 of 8" in said
        assert "1 0.7" not in said
    ended = pruned(desk, job)
    drawn = "\n".join(lines([Shown(job=ended, speed=Speed())], "", 120, 20, coloured=False))
    assert "pruned rung 3 0.812" in drawn


def test_two_trials_are_compared_by_what_they_measured(adctl, desk: Bench, submit: Submit):
    a = done(desk, submit(), metrics={FIRST: 0.9, LATENCY: 10.0})
    b = done(desk, submit(lr=0.5), seconds=4.5)

    compared = adctl("diff", a.id, b.id, "--json").json

    assert compared["config"]["lr"] == {"a": 0.01, "b": 0.5}
    assert compared["metrics"][FIRST]["difference"] == pytest.approx(0.04131)
    assert compared["metrics"]["seconds in all"]["difference"] == pytest.approx(1.0)
    assert "seconds to evaluate" not in compared["metrics"]
    other = adctl("diff", a.id, done(desk, submit(FIRST), metrics={FIRST: 0.9}).id, "--json").json
    assert other["config"]["measures"] == {"a": [FIRST, LATENCY], "b": [FIRST]}


def test_a_trial_is_compared_with_trials_alone(adctl, desk: Bench, submit: Submit, screw):
    job = done(desk, submit())
    train = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()

    refused = adctl("diff", job.id, train)

    assert refused.code == 2
    assert f"compare a trial with another trial, and see the other alone: adctl show {train}" in refused.err


@pytest.mark.parametrize(
    "call", [("promote", "{}"), ("submit", "evaluate", "{}"), ("predict", "{}", "{screw}/train/good")]
)
def test_what_needs_a_model_says_what_to_do_instead(adctl, desk: Bench, submit: Submit, screw, call):
    job = done(desk, submit())

    called = adctl(*(part.format(job.id, screw=screw) for part in call))

    assert called.code == 2
    assert f"job {job.id} is a trial, which leaves measures and no model" in called.err
    assert "adctl promote screws --best" in called.err
    assert f"adctl submit train --from {job.id}" in called.err


def test_a_trials_settings_can_be_trained_and_keep_what_they_were_chosen_by(
    adctl, desk: Bench, submit: Submit
):
    for measure, chosen in ((FIRST, "validation"), ("test/image_auroc", "test")):
        job = done(desk, submit(measure, lr=0.5))

        called = adctl("submit", "train", "--from", job.id, "--json")

        train = desk.store.jobs.get(called.json["jobs"][0]["id"])
        assert train.kind is JobKind.TRAIN
        assert (train.spec.config, train.spec.measures) == (job.spec.config, ())
        assert train.tags["selected_on"] == chosen
        assert called.json["differs"] == {}
        assert "lr: 0.5" in adctl("show", job.id, "--config").out


def test_a_failed_trial_reads_as_any_failed_job(adctl, desk: Bench, submit: Submit):
    job = submit()
    why = Outcome(
        outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="no normal images; --holdout 10/10"
    )
    assert desk.store.leases.finish(lease_of(desk, job), why).state is JobState.FAILED

    assert row_of(adctl, job)[1] == "failed"
    assert "--holdout 10/10" in adctl("why", job.id).out


def test_what_a_trial_printed_is_shown_as_of_any_job(adctl, desk: Bench, submit: Submit):
    job = desk.store.jobs.prune(submit(lease=False).id)

    assert f"job {job.id[:8]} is pruned; it has written nothing yet" in adctl("logs", job.id).err
