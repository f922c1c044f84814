"""Promises of `adctl list`: what it keeps, in which order, and where its columns stand."""

import io
import re
import sys

import pytest

from ad_cli import listing
from ad_platform.errors import InvalidValue
from ad_platform.records import Outcome
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import AttemptOutcome, JobKind
from clientkit import Bench

FINGERPRINT = "f" * 64


@pytest.fixture
def add(desk: Bench):
    """Submit a job by its detector, data, name and tags; given metrics it has succeeded with them."""

    def submit(detector="toy", data="parts/screw", metrics=None, kind=JobKind.TRAIN, **more) -> str:
        dataset, category = data.split("/")
        ref = DatasetRef(dataset=dataset, category=category, fingerprint=FINGERPRINT, path="/x")
        spec = JobSpec(kind=kind, detector=detector, dataset=ref)
        (job,) = desk.store.jobs.submit([Submission(spec=spec, **{"user": "kim", **more})])
        if metrics is not None:
            desk.client.hold(ref)
            outcome = Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": metrics})
            desk.store.leases.finish(desk.lease(), outcome)
        return job.id

    return submit


def listed(adctl, *options: str) -> list[str]:
    called = adctl("list", "-q", *options)
    assert called.code == 0, called.err
    return called.out.split()


def test_every_filter_keeps_its_jobs_and_names_are_read_in_any_case(adctl, add):
    one = add(name="night run", tags={"set": "a"}, group="g1", queue="big")
    two = add("other", "Wood/Bottle", name="day", tags={"set": "b"}, user="ann")

    for options in (
        ["--detector", "TOY"],
        ["--model", "toy"],
        ["-d", "PARTS"],
        ["--category", "Screw"],
        ["--name", "night*"],
        ["--tag", "set=a"],
        ["--group", "g1"],
        ["--queue", "big"],
        ["--user", "kim"],
        ["--state", "QUEUED", "--kind", "Train", "-m", "toy"],
    ):
        assert listed(adctl, *options) == [one], options
    assert listed(adctl, "--tag", "set") == [two, one]
    assert listed(adctl, "--tag", "set=a", "--user", "ann") == []


def test_since_keeps_what_was_submitted_since(adctl, add):
    ids = [add() for _ in range(5)]
    assert listed(adctl, "--since", "1h") == ids[::-1]
    assert listed(adctl, "--since", "1h", "-n", "3") == ids[:1:-1]
    assert listed(adctl, "--since", "1h", "-n", "3", "--reverse") == ids[:3]
    assert listed(adctl, "--since", "2999-01-01") == []


@pytest.mark.parametrize("text", ["soon", "", "2", "h", "-1h", "2026-13-01", "1e9999h", "²h"])
def test_a_time_that_is_none_is_refused_with_examples(text):
    with pytest.raises(InvalidValue, match="90m, 2h, 3d"):
        listing.moment_of(text)


@pytest.mark.parametrize(
    ("text", "ago"), [("90s", 90), ("90m", 5400), ("2H", 7200), ("3d", 259200), (" 1w ", 604800)]
)
def test_a_length_of_time_is_counted_back_from_now(text, ago):
    assert listing.moment_of(text, now=1e9) == 1e9 - ago


def test_a_list_is_sorted_by_whatever_stands_in_it(adctl, add):
    one = add("toy", "wood/bottle", name="b")
    two = add("abc", "parts/screw", name="A")
    three = add("abc", "parts/nut")

    assert listed(adctl) == [three, two, one]
    assert listed(adctl, "--reverse") == [one, two, three]
    assert listed(adctl, "--sort", "name") == [two, one, three]
    assert listed(adctl, "--sort", "Data") == [three, two, one]
    assert listed(adctl, "--sort", "detector", "-n", "2") == [three, two]


def test_sorted_by_a_measure_the_highest_comes_first_and_is_shown(adctl, add):
    low, high = (
        add(metrics={"test/image_auroc": value, "validation/image_auroc": 0.5}, kind=JobKind.EVALUATE)
        for value in (0.8, 0.9)
    )
    none = add()

    assert listed(adctl, "--sort", "image_auroc") == [high, low, none]
    assert listed(adctl, "--sort", "test/image_auroc", "-r") == [low, high, none]
    header, first, *_ = adctl("list", "--sort", "IMAGE_AUROC").out.splitlines()
    assert header.index("IMAGE_AUROC") == first.index("0.9")
    assert first.split()[0] == high[:8]


def test_an_unknown_order_names_the_nearest_measure(adctl, add):
    add(metrics={"test/image_auroc": 0.8})

    called = adctl("list", "--sort", "image_aurok")

    assert called.code == 2
    assert "test/image_auroc" in called.err
    assert "age, " in adctl("list", "--sort", "zzz").err


def test_the_best_measure_of_an_evaluation_and_of_a_training_stand_in_one_column(adctl, add):
    add(metrics={"train/loss": 0.25})
    add(metrics={"test/image_auroc": 0.94125}, kind=JobKind.EVALUATE)

    header, evaluate, train = adctl("list").out.splitlines()

    assert header.index("RESULT") == evaluate.index("AUROC 0.9413") == train.index("loss 0.25")


def test_a_mistyped_detector_is_said_and_one_without_jobs_is_not(adctl):
    assert adctl("list", "-m", "toi").code == 2
    assert "did you mean toy" in adctl("list", "-m", "toi").err
    called = adctl("list", "-m", "toy")
    assert (called.code, called.out, called.err) == (0, "", "no job fits; all of them: adctl list\n")


def test_a_list_that_is_cut_says_so(adctl, add):
    add()
    add()

    assert "the first 1; more with: -n 5" in adctl("list", "-n", "1").err
    assert adctl("list", "-n", "2").err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(adctl, monkeypatch):
    from ad_cli.main import run

    def call(columns: int, *arguments: str) -> str:
        terminal = Terminal()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", terminal)
        assert run(arguments) == 0
        return terminal.getvalue()

    return call


def test_eighty_columns_show_all_but_the_name_and_more_show_that_too(on_terminal, add, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    add("a_detector_with_a_long_name", "a-long-dataset/a-long-category", name="mine" * 30)
    add()

    narrow, wide = (on_terminal(columns, "list").splitlines() for columns in (80, 120))

    assert narrow[0].split() == ["ID", "STATE", "KIND", "DETECTOR", "DATA", "RESULT", "AGE"]
    assert wide[0].split()[-1] == "NAME"
    assert max(map(len, narrow)) <= 80
    assert max(map(len, wide)) == 120
    assert [line.index("train") for line in narrow[1:]] == [wide[0].index("KIND")] * 2
    assert "a-long-category" in narrow[2]
    assert "\x1b" not in "".join(narrow)


def test_states_have_colours_on_a_terminal_alone(on_terminal, adctl, add, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    add(metrics={"train/loss": 0.25})

    assert re.search(r"\x1b\[32msucceeded\x1b\[0m", on_terminal(80, "list"))
    assert "\x1b" not in on_terminal(80, "list", "--json")
    assert "\x1b" not in on_terminal(80, "list", "-q")


def test_ids_that_begin_alike_are_shown_as_long_as_they_need():
    from ad_cli.shapes import shortest

    assert shortest(["0123456789abcdef", "f123456789abcdef"]) == 8
    assert shortest(["0123456789abcdef", "0123456789ffffff"]) == 11
    assert shortest(["0123456789abcdef"]) == shortest([]) == 8
