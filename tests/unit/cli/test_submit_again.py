"""Promises of `adctl submit` about asking for what a job or a file asked for, with something changed."""

from pathlib import Path

import pytest

from ad_platform.records import Capabilities, Holding, Outcome, Room
from ad_platform.states import AttemptOutcome, JobKind
from clientkit import Bench, make_category


@pytest.fixture
def first(adctl, screw: Path) -> str:
    """A train job that says something of everything."""
    options = "--preset large -S mode=median -S layers=3,4 --seed 7 --device cpu --holdout 5/20 --name night"
    options += " --tag a=1 --group g --queue gold --priority 9 --max-attempts 5 --checkpoint-every 10"
    options += " --timeout 1h30m"
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), *options.split(), "-q")
    assert called.code == 0
    return called.out.strip()


def spec_of(desk: Bench, job: str) -> dict[str, object]:
    return {**desk.store.jobs.find(job).spec.to_json()}


@pytest.mark.parametrize("command", [("submit",), ("submit", "train")], ids=" ".join)
def test_a_job_is_cloned_and_edited_and_says_what_differs(adctl, desk: Bench, first: str, command):
    called = adctl(*command, "--from", first[:6], "-S", "LR=0.5", "--seed", "8", "--json")

    old, new = desk.store.jobs.find(first), desk.store.jobs.find(called.json["jobs"][0]["id"])
    assert [job["kind"] for job in called.json["jobs"]] == ["train", "evaluate"]
    assert dict(new.spec.config) == {**old.spec.config, "lr": 0.5}
    assert called.json["from"] == first
    assert called.json["differs"] == {"seed": {"was": 7, "is": 8}, "lr": {"was": 0.001, "is": 0.5}}
    assert old.timeout == 5400.0
    for name in ("name", "tags", "group", "queue", "priority", "max_attempts", "timeout"):
        assert getattr(new, name) == getattr(old, name)


def test_a_clone_says_in_words_what_differs(adctl, first: str):
    edited = adctl("submit", "--from", first, "-S", "clip=0.5", "-S", "layers=9")

    assert f"as job {first}, but for layers 9 (was 3,4), clip 0.5 (was none)" in edited.err


def test_a_clone_with_nothing_changed_is_an_equal_job(adctl, desk: Bench, first: str):
    called = adctl("submit", "--from", first)
    again = called.out.split()[0]

    assert "with nothing changed" in called.err
    assert again != first
    assert desk.store.jobs.find(again).spec == desk.store.jobs.find(first).spec


def test_the_last_job_means_the_last_training(adctl, desk: Bench, first: str):
    cloned = adctl("submit", "--from", "@last", "--json")
    evaluated = adctl("submit", "evaluate", "@last", "--dry-run", "--json")

    assert cloned.json["from"] == first
    assert evaluated.json[0]["source"] == cloned.json["jobs"][0]["id"]


def test_a_clone_can_go_on_a_data_set_that_lies_elsewhere(adctl, desk: Bench, first: str, screw: Path):
    screw.rename(screw.parent / "gone")

    called = adctl("submit", "--from", first, "-q")

    assert desk.store.jobs.find(called.out.strip()).spec == desk.store.jobs.find(first).spec


def test_a_clone_of_a_job_whose_pictures_have_changed_is_refused_with_what_to_do(adctl, first, screw: Path):
    (screw / "train" / "good" / "more.png").write_bytes(b"more")

    refused = adctl("submit", "--from", first)
    taken = adctl("submit", "--from", first, "--data", str(screw))

    assert (refused.code, taken.code) == (2, 0)
    assert f"to take them as they are now: --data {screw}" in refused.err
    assert "but for data fingerprint" in taken.err


def test_changed_pictures_do_not_matter_where_another_node_still_has_those(adctl, desk: Bench, first, screw):
    old = desk.store.jobs.find(first).spec.dataset
    desk.store.workers.hold([Holding(node="far", **vars(old))])
    (screw / "train" / "good" / "more.png").write_bytes(b"more")

    assert adctl("submit", "--from", first).code == 0


def test_a_clone_goes_on_another_category_of_the_same_data_set(adctl, desk: Bench, first: str, screw: Path):
    make_category(screw.parents[1], category="nut")

    called = adctl("submit", "--from", first, "-c", "nut", "-q")

    assert desk.store.jobs.find(called.out.strip()).spec.dataset.path == str(screw.parent / "nut")


def test_a_preset_or_another_detector_starts_anew_and_that_is_said(adctl, desk: Bench, first: str):
    called = adctl("submit", "--from", first, "--preset", "TINY", "-S", "lr=0.5", "--json")

    job = desk.store.jobs.find(called.json["jobs"][0]["id"])
    assert (job.spec.preset, job.spec.config["mode"], job.spec.config["lr"]) == ("tiny", "mean", 0.5)
    assert "starts anew" in called.err


def test_a_tag_that_says_what_settings_were_chosen_by_leaves_with_those_settings(adctl, desk: Bench, screw):
    paper = adctl("submit", "train", "-m", "toy", "--data", str(screw), "-p", "Paper", "-q").out.strip()

    same = adctl("submit", "--from", paper, "-q").out.strip()
    anew = adctl("submit", "--from", paper, "-p", "tiny", "-q").out.strip()

    assert desk.store.jobs.find(same).spec == desk.store.jobs.find(paper).spec
    assert desk.store.jobs.find(same).tags == {"selected_on": "test"}
    assert desk.store.jobs.find(anew).tags == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "ffff"), "no job named 'ffff'"),
        (("--from", "{evaluation}"), "is of kind evaluate, and only train jobs can be asked for again; its"),
        (("--from", "{first}", "--config", "x.yaml"), "either --from JOB or --config FILE"),
        (("--from", "{first}", "-S", "lrr=1"), "did you mean lr?"),
        (("--from", "{first}", "-S", "lr=2"), "lr must be a number above 0 and at most 1, not 2"),
        (("--from", "{first}", "-m", "tyo"), "did you mean toy?"),
        ((), "submit needs|say what|Usage"),
        (("-S", "w=5"), "adctl submit sweep, adctl submit benchmark, or adctl submit --from JOB"),
        (("-S", "w=5", "train"), "options come after the command: adctl submit train --set"),
    ],
)
def test_a_clone_that_cannot_be_is_refused_in_one_line(adctl, desk: Bench, first: str, arguments, words):
    before = len(desk.store.jobs.search())
    (evaluation,) = desk.store.jobs.search(needs=first)

    called = adctl("submit", *(text.format(first=first, evaluation=evaluation.id) for text in arguments))

    assert called.code == 2
    assert any(each in called.err for each in words.split("|"))
    assert len(desk.store.jobs.search()) == before


def test_what_show_prints_asks_for_an_equal_job(adctl, desk: Bench, first: str, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(adctl("show", first, "--config").out)

    called = adctl("submit", "train", "--config", str(file), "--json")

    old, new = desk.store.jobs.find(first), desk.store.jobs.find(called.json["jobs"][0]["id"])
    assert (new.spec, new.spec.key) == (old.spec, old.spec.key)
    for name in ("name", "tags", "group", "queue", "priority", "max_attempts", "gpus"):
        assert getattr(new, name) == getattr(old, name)


def test_options_win_over_the_file(adctl, desk: Bench, first: str, tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text(adctl("show", first, "--config").out)
    options = ("-S", "lr=0.25", "--imgsz", "64", "--seed", "3", "--tag", "b=2", "--queue", "default")

    called = adctl("submit", "train", "--config", str(file), *options, "--no-evaluate", "-q")

    job = desk.store.jobs.find(called.out.strip())
    config = {**desk.store.jobs.find(first).spec.config, "lr": 0.25, "image_size": 64}
    assert (dict(job.spec.config), job.spec.seed, job.queue) == (config, 3, "default")
    assert dict(job.tags) == {"a": "1", "b": "2"}
    assert desk.store.jobs.search(kind=JobKind.EVALUATE, needs=job.id) == []


def test_a_short_file_and_the_options_complete_each_other(adctl, desk: Bench, screw: Path, tmp_path: Path):
    (tmp_path / "run.yaml").write_text(f"settings: {{lr: 1e-2}}\ndata: {screw}\nevaluate: no\n")
    config = ("--config", str(tmp_path / "run.yaml"))

    without = adctl("submit", "train", *config)
    called = adctl("submit", "train", *config, "-m", "toy", "-q")

    assert without.code == 2
    assert "names no detector: --model NAME; there are: " in without.err
    job = desk.store.jobs.find(called.out.strip())
    assert job.spec.config["lr"] == 0.01
    assert len(desk.store.jobs.search()) == 1


FILE = "detector: toy\ndata: {data}\nsettings:\n  lr: 0.1\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("detector: tyo\n", "run.yaml, line 1: no detector named 'tyo'; did you mean toy?"),
        (FILE + "  flp: yes\n", "run.yaml, line 5: no setting of toy named 'flp'; did you mean flip?"),
        (FILE + "  flip: perhaps\n", "run.yaml, line 5: flip must be true or false, not 'perhaps'"),
        (FILE + "preset: tny\n", "run.yaml, line 5: no preset of toy named 'tny'; did you mean tiny?"),
        ("detector: toy\nsettings: {lr: 0.1}\n", "say which images: --data DIR"),
        (FILE.replace("{data}", "nowhere"), "run.yaml, line 2: "),
        (
            "detector: toy\ndata:\n  path: {data}\n  fingerprint: abc\n",
            "run.yaml, line 4: the pictures in {data} are not those asked for",
        ),
        ("detector: toy\ndata:\n  category: scrw\n", "run.yaml, line 2: no category named 'scrw'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(
    adctl, desk: Bench, screw: Path, tmp_path, text, words
):
    make_category(desk.client.settings.data_root)
    (tmp_path / "run.yaml").write_text(text.replace("{data}", str(screw)))

    called = adctl("submit", "train", "--config", str(tmp_path / "run.yaml"))

    assert called.code == 2
    assert words.replace("{data}", str(screw)) in called.err
    assert called.err.count("\n") == 1
    assert desk.store.jobs.search() == []


def test_an_evaluation_stays_in_the_group_and_queue_of_its_training(adctl, desk: Bench, first: str):
    can = Capabilities(
        worker="w1",
        node="here",
        detectors=frozenset({"toy"}),
        queues=frozenset({"gold"}),
        cards=(Room(1000),),
    )
    lease = desk.store.leases.lease(can, 60.0)
    assert lease is not None
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED))

    dry = adctl("submit", "evaluate", first, "--dry-run", "--json")
    called = adctl("submit", "evaluate", first, "--group", "other", "-q")

    assert (dry.json[0]["scheduling"]["group"], dry.json[0]["scheduling"]["queue"]) == ("g", "gold")
    job = desk.store.jobs.find(called.out.strip())
    assert (job.group, job.queue) == ("other", "gold")
