"""Promises of run files: they ask for the same training again, and say the line of what is wrong."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import catalogue, run_file
from ad_platform.errors import InvalidRequest
from ad_platform.planning import train_spec
from ad_platform.records import Job
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import JobKind, JobState
from ad_platform.wishes import request_of
from clientkit import ENTRY

TOY = catalogue.DetectorEntry.from_json("toy", ENTRY)  # type: ignore[arg-type]
DATA = DatasetRef(dataset="parts", category="screw", fingerprint="0" * 64, path="/images/parts/screw")
SHARED = [3, 4]
SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="toy",
    dataset=DATA,
    config={
        "image_size": 32,
        "lr": 1e-05,
        "mode": "median",
        "layers": SHARED,
        "clip": None,
        "flip": True,
        "backbone": "1e-3",
    },
    preset="paper",
    seed=2**62,
    device="0,1",
    checkpoint_every=7,
    threads=2,
    holdout="5/20",
)
JOB = Job(
    id="ab12",
    seq=1,
    spec=SPEC,
    state=JobState.QUEUED,
    user="kim",
    name="12",
    tags={"night": "yes", "ä: b": "- x\ny"},
    group="g",
    queue="gold",
    priority=-3,
    max_attempts=9,
    timeout=5400.0,
)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    return file


def test_what_is_written_of_a_job_asks_for_an_equal_spec_scheduled_alike(tmp_path: Path):
    file = run_file.load(written(tmp_path, run_file.dump(JOB)))
    request = request_of(file.checked(TOY), DATA)

    assert train_spec(TOY, request) == SPEC
    scheduling = request.scheduling
    assert (scheduling.name, dict(scheduling.tags), scheduling.group) == ("12", JOB.tags, "g")
    assert (scheduling.queue, scheduling.priority, scheduling.max_attempts) == ("gold", -3, 9)
    assert scheduling.timeout == 5400.0
    assert "timeout: 1h30m" in run_file.dump(JOB)


def test_a_spec_alone_can_be_written_and_a_list_that_is_there_twice_stays_a_list(tmp_path: Path):
    text = run_file.dump(replace(SPEC, config={**SPEC.config, "mode": SHARED}))

    assert "&" not in text
    assert "queue" not in text
    assert run_file.load(written(tmp_path, text)).wish.base["mode"] == [3, 4]


def test_a_job_of_another_kind_has_no_run_file():
    other = replace(JOB, spec=replace(SPEC, kind=JobKind.EVALUATE, source="cd34"))

    with pytest.raises(InvalidRequest, match=r"job ab12 is of kind evaluate, and only train jobs .* cd34"):
        run_file.dump(other)


def test_a_few_lines_by_hand_will_do_in_any_case_and_as_people_write(tmp_path: Path):
    text = (
        "Detector: toy\ndata: parts/screw\nsettings:\n  LR: 1e-3\n  layers: 1, 2\n  clip: none\n  flip: yes\n"
    )

    file = run_file.load(written(tmp_path, text))

    wish = file.checked(TOY)
    assert wish.base["lr"] == 0.001
    assert (wish.base["layers"], wish.base["clip"], wish.base["flip"]) == ([1, 2], None, True)
    assert wish.data.path == str(tmp_path / "parts" / "screw")
    assert wish.seed is None


def test_the_standard_input_can_be_a_run_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("detector: toy\nsede: 1\n"))

    with pytest.raises(InvalidRequest, match=r"the standard input, line 2: .* did you mean seed\?"):
        run_file.load(Path("-"))


MISTAKES = [
    ("detector: toy\ntimeout: 2\n", "line 2: timeout: '2' is not a length of time, such as 90s"),
    ("detector: toy\ntimeout: [1h]\n", "line 2: timeout must be a text, not a list"),
    ("detector: toy\ntimeout: 999d\n", "line 2: timeout: a length of time must be from 1s to 366d, not 999d"),
    ("", "is empty; print one to start from"),
    ("# nothing\n", "is empty"),
    ("just words", "line 1: expected lines such as 'detector: NAME', not 'just words'"),
    ("- a\n- b\n", "line 1: expected lines such as 'detector: NAME', not a list"),
    ("detector: toy\nseed: [1\n", "this is no YAML"),
    ("detector: toy\n\tseed: 1\n", "line 2: this is no YAML"),
    ("a: 1\n---\nb: 2\n", "line 2: this is no YAML: but found another document"),
    ("detector: toy\nprset: tiny\n", r"line 2: no name of a run file named 'prset'; did you mean preset\?"),
    ("model: toy\n", "line 1: no name of a run file is 'model'; it is called detector"),
    ("imgsz: 3\n", "it is called image_size, below settings"),
    ("lr: 3\n", "line 1: .*settings of the detector stand below 'settings'"),
    ("seed: 1\nname: x\nseed: 2\n", "line 3: 'seed' stands there twice, first in line 1"),
    ("seed: 1\nSeed: 2\n", "line 2: 'seed' stands there twice"),
    ("seed: one\n", "line 1: seed must be a whole number, not 'one'"),
    ("seed: 1.5\n", "seed must be a whole number, not '1.5'"),
    ("seed: true\n", "seed must be a whole number, not 'true'"),
    ("seed: -1\n", "line 1: seed must be from 0 to"),
    ("priority: 101\n", "priority must be from -100 to 100, not 101"),
    ("name: [a]\n", "line 1: name must be a text, not a list"),
    ("name: {a: 1}\n", "name must be a text, not names and values"),
    ("evaluate: perhaps\n", "evaluate must be true or false, not 'perhaps'"),
    ("tags: a=1\n", "tags must be lines of 'name: value' below it, not 'a=1'"),
    ("tags:\n  a: [1]\n", "line 2: tag 'a' must be a text, not a list"),
    ("settings: [1]\n", "settings must be lines of 'name: value' below it, not a list"),
    ("data:\n  pth: x\n", r"line 2: .*did you mean path\?"),
    ("seed: 1\ndevice: gpu\n", "line 2: device must be auto, cpu"),
    ("seed: 1\nholdout: 10\n", "line 2: a holdout is two percentages"),
    ("queue: a b\n", "line 1: a queue's name"),
    ("a: &x [1]\nb: *x\n", "an anchor is used again"),
    ("a: &x [*x]\n", "an anchor is used again"),
    ("name: !!python/object:os.system x\n", "the tag .* is not read"),
    ("name: !secret x\n", "the tag '!secret' is not read"),
    ("? [a]\n: 1\n", "a name must be a plain word"),
    ("a: " + "[" * 2000, "no YAML|nested too deeply"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=[repr(text[:24]) for text, _ in MISTAKES])
def test_a_mistake_is_one_line_that_names_file_and_line(tmp_path: Path, text: str, words: str):
    file = written(tmp_path, text)

    with pytest.raises(InvalidRequest, match=words) as caught:
        run_file.load(file)

    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: tny\n", r"line 1: no preset of toy named 'tny'; did you mean tiny\?"),
        (
            "settings:\n  lr: 0.1\n  lyers: 1\n",
            r"line 3: no setting of toy named 'lyers'; did you mean layers\?",
        ),
        ("settings:\n  lr: 2\n", "line 2: lr must be a number above 0 and at most 1, not 2"),
        ("settings:\n  lr: .nan\n", "line 2: lr must be a number"),
        ("settings:\n  layers: {a: 1}\n", "line 2: layers must be a list"),
        ("settings:\n  mode: man\n", "line 2: mode must be one of mean, median"),
        ("settings:\n  flip: 2026-01-01\n", "line 2: flip must be true or false, not '2026-01-01'"),
        ("settings:\n  lr: 0.1\n  LR: 0.2\n", "line 3: 'lr' stands there twice"),
    ],
)
def test_a_setting_that_cannot_be_is_said_with_its_line(tmp_path: Path, text: str, words: str):
    file = run_file.load(written(tmp_path, text))

    with pytest.raises(InvalidRequest, match=words):
        file.checked(TOY)


def test_a_file_that_is_none_is_named(tmp_path: Path):
    written(tmp_path, "seed: 1\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\x00")
    (tmp_path / "large.yaml").write_bytes(b"#" * 2_000_000)

    for name, words in (
        ("rum.yaml", "rum.yaml does not exist; did you mean .*run.yaml"),
        ("nowhere/run.yaml", "nor does its folder"),
        ("", "is a folder, not a file"),
        ("picture.png", "picture.png is no text: its byte 1 is not UTF-8"),
        ("large.yaml", "large.yaml is no run file: it has more than 1 MB"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            run_file.load(tmp_path / name)
