"""Promises of `adctl submit sweep`: what is asked for, what is said beforehand, and what is left alone."""

import json
from pathlib import Path

import pytest

from ad_platform.records import Outcome
from ad_platform.states import AttemptOutcome, JobKind, StudyState
from ad_platform.sweeps.study_spec import StudySpec
from clientkit import Bench, make_category
from sweep_stories import Sweep

SWEEP = ("submit", "sweep", "-m", "toy", "--param", "lr=1e-4:0.1:log")


def spec_of(desk: Bench, name: str) -> StudySpec:
    return StudySpec.from_json(desk.store.studies.get(name).spec)


def test_a_sweep_is_remembered_with_all_that_was_asked(adctl, desk: Bench, screw: Path, tmp_path: Path):
    space = tmp_path / "space.toml"
    space.write_text('lr = "0.1:0.2"\nflip = "true,false"\n')
    first = Sweep.of(desk.store, "before")
    called = adctl(
        *SWEEP,
        *("--data", str(screw), "-P", "IMAGE_SIZE=16:64:16", "--space", str(space), "--trials", "7"),
        *("--parallel", "3", "--sampler", "tpe:n_startup_trials=4", "--pruner", "asha", "--seeds", "2"),
        *("--sampler-seed", "9", "--name", "Night", "--preset", "large", "-S", "mode=median", "--seed", "5"),
        *("--device", "cpu", "--holdout", "20/10", "--queue", "gold", "--priority", "4"),
        *("--max-attempts", "2", "--timeout", "2h", "--tag", "a=1", "-q"),
    )

    study, spec = desk.store.studies.get("night"), spec_of(desk, "night")
    assert (called.code, called.out) == (0, "Night\n")
    assert (study.wanted, study.parallel, study.state, study.user) == (7, 3, StudyState.RUNNING, "kim")
    assert {each.name: each.words for each in spec.space} == {
        "lr": "0.0001:0.1:log",
        "image_size": "16:64:16",
        "flip": "True,False",
    }
    assert (spec.sampler.words, spec.pruner.words, spec.seeds, spec.seed) == (
        "tpe:n_startup_trials=4",
        "asha",
        2,
        9,
    )
    assert (spec.job.config["mode"], spec.job.preset, spec.job.seed) == ("median", "large", 5)
    assert (spec.job.device, spec.job.holdout, spec.job.kind) == ("cpu", "20/10", JobKind.TRIAL)
    assert (spec.scheduling.queue, spec.scheduling.priority, spec.scheduling.max_attempts) == ("gold", 4, 2)
    assert spec.scheduling.timeout == 7200.0
    assert spec.scheduling.tags["a"] == "1"
    assert spec.warm_start is None
    assert first.name == "before"


def test_it_says_what_is_searched_by_what_on_what_and_how_to_follow_it(adctl, desk: Bench, screw: Path):
    desk.online()

    called = adctl(*SWEEP, "--data", str(screw), "--trials", "4", "--objective", "test/image_auroc")

    assert called.out == "toy-screw-1  sweep toy on parts/screw: running\n"
    for words in (
        "searched: lr=0.0001:0.1:log",
        "for: highest test/image_auroc",
        "by: tpe, pruned by median, seed 0",
        "trials: 4, 2 at a time",
        "trainings: ",
        "device: cpu (worker w1 on node here",
        "note: test labels choose the settings",
        "watch it with: adctl sweep watch toy-screw-1",
    ):
        assert words in called.err
    assert "time:" not in called.err


def test_the_pictures_of_a_sweep_are_held_by_this_node(adctl, desk: Bench, screw: Path):
    adctl(*SWEEP, "--data", str(screw))

    assert [one.category for one in desk.store.workers.holdings()] == ["screw"]


def test_without_a_worker_it_warns_and_succeeds(adctl, desk: Bench, screw: Path):
    called = adctl(*SWEEP, "--data", str(screw), "-q")

    assert called.code == 0
    assert called.err.startswith("warning: no worker is online, so the sweep waits; start one with: ")
    assert called.err.count("\n") == 1


def test_a_sweep_in_a_paused_queue_warns_as_a_job_does(adctl, desk: Bench, screw: Path):
    desk.online()
    adctl("queue", "pause", "default", "--reason", "lunch")

    assert "warning: the queue 'default' is paused" in adctl(*SWEEP, "--data", str(screw)).err


def test_a_dry_run_shows_the_space_and_points_of_it_and_submits_nothing(adctl, desk: Bench, screw: Path):
    call = (
        *("submit", "sweep", "-m", "toy", "--data", str(screw), "--trials", "9", "--dry-run"),
        *("--param", "mode=mean,median", "--param", "image_size=16:64:16", "--sampler", "grid"),
    )
    plain, as_json, quiet = adctl(*call), adctl(*call, "--json"), adctl(*call, "-q")

    rows = [line.split() for line in plain.out.splitlines()]
    assert ["mode", "mean,median", "2"] in rows
    assert ["image_size", "16:64:16", "4"] in rows
    assert "trials     8 of 8 points, 2 at a time" in plain.out
    assert "nothing like it has run yet" in plain.out
    assert "the grid has 8 points, so there will be 8 trials" in plain.err
    assert "nothing was submitted" in plain.err
    whole = as_json.json
    assert len({json.dumps(point) for point in whole["examples"]}) == 4
    assert all(16 <= point["image_size"] <= 64 for point in whole["examples"])
    assert (whole["name"], whole["points"], whole["trials"]) == ("toy-screw-1", 8, 9)
    assert whole["estimate"] == {"seconds": None, "training": None, "trial": None}
    assert quiet.out == "toy-screw-1\n"
    assert desk.store.studies.search() == []
    assert desk.store.workers.holdings() == []


def test_what_the_detector_declares_is_searched_unless_told(adctl, desk: Bench, screw: Path):
    adctl("submit", "sweep", "-m", "TOY", "--data", str(screw))

    assert [(one.name, one.words) for one in spec_of(desk, "toy-screw-1").space] == [("lr", "1e-05:0.1:log")]


def test_names_are_free_ones_and_one_in_use_is_refused_before_anything_is_written(
    adctl, desk: Bench, screw: Path
):
    names = [adctl(*SWEEP, "--data", str(screw), "-q").out.strip() for _ in range(3)]
    other = make_category(screw.parents[1], category="nut")

    refused = adctl(*SWEEP, "--data", str(other), "--name", "toy-screw-2")

    assert names == ["toy-screw-1", "toy-screw-2", "toy-screw-3"]
    assert refused.code == 3
    assert "there is a sweep named 'toy-screw-2' already; give another --name" in refused.err
    assert {one.category for one in desk.store.workers.holdings()} == {"screw"}


def test_a_sweep_begins_where_a_job_is_without_its_name_and_group(adctl, desk: Bench, screw: Path):
    adctl(
        *("submit", "train", "-m", "toy", "--data", str(screw), "-S", "mode=median", "--name", "mine"),
        *("--group", "g", "--tag", "a=1", "--seed", "4", "--no-evaluate"),
    )

    called = adctl("submit", "sweep", "--from", "@last", "--param", "lr=0.1:0.5", "-q")

    spec = spec_of(desk, called.out.strip())
    assert (spec.job.config["mode"], spec.job.seed) == ("median", 4)
    assert (spec.scheduling.name, spec.scheduling.group) == ("", None)
    assert spec.scheduling.tags["a"] == "1"


def test_a_sweep_from_a_job_chosen_by_test_labels_says_that_it_flatters(adctl, desk: Bench, screw: Path):
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--preset", "paper", "--no-evaluate")

    called = adctl("submit", "sweep", "--from", "@last", "--param", "lr=0.1:0.5", "--holdout", "10/10")

    assert called.code == 0, called.err
    assert "warning: test labels have chosen the settings of job " in called.err


def test_a_run_file_is_read_and_what_is_wrong_in_it_is_said_with_its_line(adctl, desk: Bench, screw: Path):
    file = screw / "run.yaml"
    file.write_text(f"detector: toy\ndata: {{path: {screw}}}\nsettings:\n  mode: median\n  clip: 3\n")
    taken = adctl("submit", "sweep", "--config", str(file), "--param", "lr=0.1:0.5", "-q")
    file.write_text(file.read_text().replace("clip: 3", "clip: -3"))
    refused = adctl("submit", "sweep", "--config", str(file), "--param", "lr=0.1:0.5")

    assert spec_of(desk, taken.out.strip()).job.config["clip"] == 3
    assert refused.code == 2
    assert "run.yaml, line 5" in refused.err


def test_without_test_images_the_best_is_measured_on_what_is_held_out_and_that_is_said(
    adctl, desk: Bench, tmp_path: Path
):
    folder = make_category(tmp_path / "images", test=False)

    called = adctl(*SWEEP, "--data", str(folder))

    assert "no test images" in called.err
    assert not spec_of(desk, "toy-screw-1").tested


def test_the_time_comes_from_trials_and_trainings_that_were_alike(adctl, desk: Bench, screw: Path):
    desk.online()
    call = (*SWEEP, "--data", str(screw), "--trials", "6", "--parallel", "2", "--json")
    adctl(*call)
    done = Sweep.of(desk.store, "done", data=spec_of(desk, "toy-screw-1").job.dataset)
    number = done.ask({"lr": 0.01})
    lease = desk.lease(1e9)
    desk.store.leases.note(lease, {"device": "cpu"})
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"steps": 1}))
    with desk.store._db._engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("UPDATE attempts SET started_at = ended_at - 30")

    estimate = adctl(*call).json["estimate"]
    plain = adctl(*call[:-1])

    assert number == 0
    assert estimate["trial"]["seconds"] == pytest.approx(30.0)
    assert estimate["seconds"] == pytest.approx(90.0)  # three after one another
    assert "time: " in plain.err
    assert "about 30s from 1 past run" in plain.err


def test_waiting_watches_the_sweep_and_ctrl_c_leaves_it_running(adctl, desk: Bench, screw: Path):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.client._pause = interrupt

    called = adctl(*SWEEP, "--data", str(screw), "--wait")

    assert called.code == 130
    assert "searched: lr=0.0001:0.1:log" in called.err
    assert "it goes on: look again with `adctl sweep watch toy-screw-1`" in called.err
    assert desk.store.studies.get("toy-screw-1").state is StudyState.RUNNING


def test_without_sweeps_a_list_says_how_to_make_one(adctl):
    called = adctl("sweep", "list")

    assert (called.code, called.out) == (0, "")
    assert "adctl submit sweep" in called.err


def test_json_has_the_sweep_and_what_was_said_of_it(adctl, desk: Bench, screw: Path):
    whole = adctl(*SWEEP, "--data", str(screw), "--json").json

    assert (whole["kind"], whole["name"], whole["state"], whole["wanted"]) == (
        "sweep",
        "toy-screw-1",
        "running",
        20,
    )
    assert whole["trials"]["asked"] == 0
    assert whole["device"]["kind"] == "unknown"
    assert whole["notes"] == []
