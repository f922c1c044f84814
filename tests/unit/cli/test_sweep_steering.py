"""Promises of the commands that steer a sweep, and of those for jobs when they are given one."""

import pytest

from ad_platform.specs import Submission
from ad_platform.states import JobState, StudyState, TrialState
from clientkit import Bench
from sweep_stories import Sweep

POINT = {"lr": 0.01, "image_size": 16, "mode": "mean"}


@pytest.fixture
def night(desk: Bench) -> Sweep:
    """A sweep with a complete trial, a failed one, and one that runs."""
    sweep = Sweep.of(desk.store, "night", wanted=9, parallel=2)
    sweep.tried(POINT, 0.91)
    sweep.tried(POINT, state=TrialState.FAILED, error="the loss is nan")
    sweep.run(sweep.ask(POINT))
    return sweep


def state_of(desk: Bench, name: str = "night") -> StudyState:
    return desk.store.studies.get(name).state


def test_a_paused_sweep_says_what_goes_on_and_how_it_is_resumed(adctl, desk: Bench, night: Sweep):
    paused = adctl("sweep", "pause", "NIGHT")

    assert paused.out == (
        "night  paused, 3 of 9 trials asked for (1 complete, 1 failed, 1 running), 2 at a time\n"
    )
    assert "what runs goes on: 1" in paused.err
    assert "adctl sweep resume night" in paused.err
    assert adctl("sweep", "resume", "night", "-q").out == "night\n"
    assert state_of(desk) is StudyState.RUNNING


def test_a_sweep_is_extended_by_trials_or_at_a_time(adctl, desk: Bench, night: Sweep):
    adctl("sweep", "extend", "night", "--trials", "3", "--parallel", "5")
    study = desk.store.studies.get("night")

    refused = adctl("sweep", "extend", "night")

    assert (study.wanted, study.parallel) == (12, 5)
    assert refused.code == 2
    assert "--trials N for so many more, or --parallel N" in refused.err


def test_a_stopped_sweep_asks_for_no_more_and_ends_what_runs(adctl, desk: Bench, night: Sweep):
    called = adctl("sweep", "stop", "night", "--json")

    assert called.code == 0
    assert desk.store.studies.get("night").wanted == 3
    assert desk.store.jobs.get(night.jobs[2][0].id).cancel_requested


def test_a_clone_is_a_new_sweep_with_the_same_space(adctl, desk: Bench, night: Sweep):
    called = adctl("sweep", "clone", "night", "--trials", "4", "--warm", "-q")
    again = desk.store.studies.get(called.out.strip())

    assert again.name == "night-1"
    assert (again.wanted, again.parallel) == (4, 2)
    assert again.spec["space"] == night.study.spec["space"]
    assert again.spec["warm_start"] == night.study.id


def test_cancelling_a_sweep_ends_it_with_all_it_runs(adctl, desk: Bench, night: Sweep):
    called = adctl("cancel", "night")

    assert called.out == "night  sweep toy on parts/screw: stopped; what runs was told to end: 1\n"
    assert state_of(desk) is StudyState.STOPPED
    assert desk.store.jobs.get(night.jobs[2][0].id).cancel_requested
    again = adctl("cancel", "night")
    assert again.code == 3
    assert "sweep night is stopped already" in again.err


def test_cancelling_a_trials_job_says_that_its_sweep_goes_on(adctl, desk: Bench, night: Sweep):
    called = adctl("cancel", night.jobs[2][0].id)

    assert called.code == 0
    assert "it is a trial of sweep night, which goes on; all of it: adctl cancel night" in called.err
    assert state_of(desk) is StudyState.RUNNING


def test_cancel_all_ends_my_sweeps_as_a_whole_and_then_my_jobs(adctl, desk: Bench, night: Sweep, screw):
    Sweep.of(desk.store, "of ann", user="ann")
    job = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()

    called = adctl("cancel", "--all", "-q")

    assert (called.code, called.out.split()) == (0, ["night", job])
    assert state_of(desk) is StudyState.STOPPED
    assert state_of(desk, "of ann") is StudyState.RUNNING


def test_cancel_all_of_a_state_is_about_jobs(adctl, desk: Bench, night: Sweep):
    called = adctl("cancel", "--all", "--state", "running", "-q")

    assert called.out.split() == [night.jobs[2][0].id]
    assert state_of(desk) is StudyState.RUNNING


def test_retrying_a_sweep_asks_for_its_failed_trials_once_more(adctl, desk: Bench, night: Sweep):
    called = adctl("retry", "night")
    again = adctl("retry", "night")

    assert called.out == "night  trial 1 will be run again, as a new trial in its place\n"
    assert [trial.number for trial in desk.store.studies.trials(night.study.id) if trial.again_at] == [1]
    assert again.code == 3
    assert "no failed trial" in again.err


def test_retrying_a_trials_job_says_to_retry_its_sweep(adctl, desk: Bench, night: Sweep):
    job = night.jobs[1][0].id
    called = adctl("retry", job)

    assert called.code == 3
    again = "its failed trials are run again with: adctl retry night"
    assert called.err == f"error: job {job} is trial 1 of sweep night; {again}\n"
    assert len(desk.store.jobs.search()) == 3


def test_jobs_and_sweeps_are_retried_in_one_call_but_not_waited_for(adctl, desk: Bench, night: Sweep, screw):
    job = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()
    adctl("cancel", job)

    waited = adctl("retry", job, "night", "--wait")
    called = adctl("retry", job, "night", "--json")

    assert waited.code == 2
    assert "night is a sweep; wait for it by itself: adctl retry night --wait" in waited.err
    assert [each["kind"] for each in called.json] == ["train", "sweep"]


def test_show_and_watch_take_a_sweep_where_they_take_a_job(adctl, desk: Bench, night: Sweep):
    night.finish(number=0)

    assert adctl("show", "night").out == adctl("sweep", "show", "night").out
    assert adctl("show", "night", "-q").out == "night finished\n"
    assert adctl("watch", "night", "-q").out == "night finished\n"
    assert adctl("show", "night", "--config").code == 2
    assert "watch it by itself" in adctl("watch", "night", night.jobs[0][0].id).err


def test_a_watch_of_everything_names_the_sweeps_that_go_on_without_a_job(adctl, desk: Bench):
    Sweep.of(desk.store, "between")

    called = adctl("watch")

    assert called.code == 0
    assert "sweep between goes on: adctl sweep watch between" in called.err


def test_a_name_of_a_sweep_goes_before_the_beginning_of_a_jobs_id(adctl, desk: Bench):
    sweep = Sweep.of(desk.store, "night")
    sweep.tried(POINT, 0.9)
    job = sweep.jobs[0][0].id
    named = Sweep.of(desk.store, job[:4])

    assert adctl("show", job[:4], "-q").out == f"{named.name} running\n"
    assert adctl("show", job[:6], "-q").out == f"{job} succeeded\n"


def test_a_beginning_that_fits_a_job_and_a_sweep_is_refused(adctl, desk: Bench):
    sweep = Sweep.of(desk.store, "night")
    sweep.tried(POINT, 0.9)
    job = sweep.jobs[0][0].id
    Sweep.of(desk.store, "day", id=job[:12] + "0000")

    called = adctl("show", job[:12])

    assert called.code == 2
    assert (
        f"id '{job[:12]}' fits several jobs, sweeps and benchmarks: {job}, day; give more characters"
        in called.err
    )


def test_a_word_that_is_neither_is_answered_with_the_nearest_sweep(adctl, desk: Bench, night: Sweep):
    for command in ("show", "watch", "why", "cancel", "retry", "promote"):
        called = adctl(command, "nihgt")
        assert called.code == 2
        assert called.err == "error: no job, sweep or benchmark named 'nihgt'; did you mean night?\n", command


def test_a_sweep_is_promoted_by_its_best_alone(adctl, desk: Bench, night: Sweep):
    whole = adctl("promote", "night")
    early = adctl("promote", "night", "--best")
    of_job = adctl("promote", night.jobs[0][0].id, "--best")

    assert (whole.code, early.code, of_job.code) == (2, 3, 2)
    assert "promote its best: adctl promote night --best" in whole.err
    assert "sweep night has not finished" in early.err
    assert "is a job, so there is nothing to choose from" in of_job.err
    assert desk.store.champions.history() == []


def test_the_list_of_jobs_shows_a_sweep_in_one_row(adctl, desk: Bench, night: Sweep, screw):
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--name", "mine", "--no-evaluate")

    rows = [line.split() for line in adctl("list").out.splitlines()[1:]]

    assert sorted(row[2] for row in rows) == ["sweep", "train"]
    of_sweep = " ".join(next(row for row in rows if row[2] == "sweep"))
    assert of_sweep.startswith(f"{night.study.id[:8]} running sweep toy parts/screw 2/9 0.9100 ")
    assert of_sweep.endswith(" night")
    assert "adctl list --group NAME" in adctl("list").err


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--group", "night"], ["trial"] * 3),
        (["--kind", "trial"], ["trial"] * 3),
        (["--state", "running"], ["trial"]),
        (["--category", "SCREW"], ["sweep"]),
        (["--model", "toy", "-d", "parts", "--user", "kim"], ["sweep"]),
        (["--since", "1h"], ["sweep"]),
        (["--category", "nut"], []),
        (["--since", "2999-01-01"], []),
        (["--reverse"], ["sweep"]),
        (["--sort", "state"], ["trial"] * 3),
    ],
)
def test_what_is_asked_of_jobs_shows_the_jobs_of_a_sweep(options, kinds, adctl, night: Sweep):
    rows = adctl("list", *options).out.splitlines()[1:]

    assert [line.split()[2] for line in rows] == kinds


def test_programs_get_jobs_alone(adctl, night: Sweep):
    assert [job["kind"] for job in adctl("list", "--json").json] == ["trial"] * 3
    assert len(adctl("list", "-q").out.split()) == 3


def test_a_job_asked_for_as_one_of_a_sweep_is_no_part_of_it(adctl, desk: Bench, screw):
    sweep = Sweep.of(desk.store, "night")
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate")
    asked = Submission(
        spec=desk.store.jobs.find("@last").spec,
        user="kim",
        key=f"sweep/{sweep.study.id}/best/0",
        group="night",
        name="night best (#0)",
        tags={"sweep": "night", "selected_on": "validation", "a": "1"},
    )
    (best,) = desk.store.jobs.submit([asked])

    adctl("submit", "--from", best.id, "--seed", "3", "--no-evaluate")

    job = desk.store.jobs.find("@last")
    assert (job.group, job.name, dict(job.tags)) == (None, "", {"selected_on": "validation", "a": "1"})
    assert job.state is JobState.QUEUED


def test_why_tells_of_a_sweep_what_keeps_it(adctl, desk: Bench, night: Sweep):
    desk.online()
    plain, quiet = adctl("why", "night"), adctl("why", "night", "-q")
    whole = adctl("why", "night", "--json").json

    assert plain.out.startswith("night  sweep running\n  1 job runs: ")
    assert "1 trial failed, trial 1: the loss is nan" in plain.out
    assert "once more: adctl retry night" in plain.out
    assert quiet.out == "running\n"
    assert [cause["kind"] for cause in whole["causes"]] == ["running"]
    assert (whole["name"], whole["state"]) == ("night", "running")


def test_a_job_of_a_sweep_shows_which_it_belongs_to(adctl, desk: Bench, night: Sweep):
    shown = adctl("show", night.jobs[0][0].id).out

    assert "sweep=night trial=0" in shown
