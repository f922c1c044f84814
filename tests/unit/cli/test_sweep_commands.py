"""Promises of `adctl sweep list`, `show`, `trials` and `best`: what they print of a sweep."""

import io
import re
import sys
from pathlib import Path

import pytest

from ad_platform.states import StudyState
from clientkit import Bench
from night import HIGH, LOW, MID, with_night
from sweep_stories import Sweep


@pytest.fixture(scope="module")
def template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_night(template, tmp_path_factory.mktemp("night"))


@pytest.fixture
def night(desk: Bench) -> Sweep:
    return Sweep.found(desk.store, "night")


def facts(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *(\S(?:.*?\S)?)  +(\S.*)$", text, re.MULTILINE))


def test_a_list_has_the_newest_first_with_sums_and_best(adctl, desk: Bench, night: Sweep):
    Sweep.of(desk.store, "day", wanted=3)

    plain = adctl("sweep", "list").out.splitlines()
    named = [line.split()[:4] for line in plain]

    assert named[0] == ["NAME", "STATE", "TRIALS", "BEST"]
    assert sorted(named[1:]) == [["day", "running", "0/3", "-"], ["night", "running", "4/9", "0.9712"]]
    assert plain[1].endswith("toy on parts/screw")
    assert sorted(adctl("sweep", "list", "-q").out.split()) == ["day", "night"]
    assert len(adctl("sweep", "list", "--json", "-n", "1").json) == 1


def test_a_list_keeps_sweeps_in_a_state_and_says_when_none_fits(adctl, desk: Bench, night: Sweep):
    assert "no sweep fits" in adctl("sweep", "list", "--state", "PAUSED").err
    adctl("sweep", "pause", "night")

    assert adctl("sweep", "list", "-s", "paused", "-q").out == "night\n"


def test_the_sums_of_a_sweep_add_up(adctl, night: Sweep):
    told = facts(adctl("sweep", "show", "night").out)

    asked = int(told["trials"].split()[0])
    parts = [
        int(number) for number in re.findall(r"(\d+) (?:complete|pruned|failed|running)", told["trials"])
    ]
    assert (asked, sum(parts)) == (5, 5)
    assert told["trials"] == "5 of 9 asked for: 2 complete, 1 pruned, 1 failed, 1 running"
    assert told["ruled out"].startswith("1 ")
    counts = adctl("sweep", "show", "night", "--json").json["trials"]
    assert counts["asked"] == sum(counts[name] for name in ("complete", "pruned", "failed", "running"))


def test_a_sweep_shows_its_best_space_and_method_and_what_to_do_next(adctl, night: Sweep):
    called = adctl("sweep", "show", "NIGHT")
    told = facts(called.out)

    assert (told["state"], told["detector"], told["looks for"]) == (
        "running",
        "toy (tiny)",
        "highest validation/image_auroc",
    )
    assert (told["sampler"], told["pruner"], told["at a time"]) == ("tpe", "median", "2")
    assert (told["lr"], told["image_size"], told["mode"]) == ("0.0001:0.1:log", "16:64:16", "mean,median")
    assert (told["trial"], told["validation/image_auroc"]) == ("1", "0.9712")
    assert told["settings"] == "lr=0.0123457 image_size=32 mode=median"
    assert told["job"] == night.jobs[1][0].id
    for step in ("adctl sweep watch night", "adctl sweep best night", "adctl retry night"):
        assert step in called.err
    assert adctl("sweep", "show", "night", "-q").out == "night running\n"


def test_equal_values_and_perfect_ones_are_told_with_the_best(adctl, desk: Bench, night: Sweep):
    night.tried(HIGH, 0.9712)

    assert "1 other trial has this value too" in adctl("sweep", "show", "night").out


def test_what_came_of_the_best_stands_beside_the_first_settings_and_the_luck_of_the_choice(
    adctl, night: Sweep
):
    optimism = {
        "selected": 0.9712,
        "corrected": 0.95,
        "optimism": 0.0212,
        "low": 0.93,
        "high": 0.96,
        "trials": 2,
        "images": 40,
    }
    night.finish(
        number=1,
        train="a" * 16,
        evaluate="b" * 16,
        metrics={"test/image_auroc": 0.94, "test/ties": 3.0, "validation/image_auroc": 0.96},
        intervals={"test/image_auroc": [0.9, 0.97]},
        preset={"metrics": {"test/image_auroc": 0.92}},
        optimism=optimism,
    )
    called = adctl("sweep", "show", "night")
    told = facts(called.out)

    assert told["test/image_auroc"] == "0.9400  before: 0.9200  [0.9000, 0.9700]"
    assert "test/ties" not in told
    assert told["trained by"] == "a" * 16
    assert told["choice"] == (
        "0.9712 as the best of 2, of which about 0.0212 is luck: "
        "0.9500 [0.9300, 0.9600] on images that had no part in it"
    )
    assert "adctl promote night --best" in called.err
    assert adctl("list").out.splitlines()[1].split()[5:7] == ["best", "0.9712"]


def test_a_best_that_could_not_be_evaluated_says_why_and_is_not_to_be_promoted(adctl, night: Sweep):
    night.finish(number=1, train="a" * 16, evaluate="b" * 16, error="job bbbb failed: no test images")
    called = adctl("sweep", "show", "night")

    assert facts(called.out)["error"] == "job bbbb failed: no test images"
    assert "promote" not in called.err


def test_every_trial_is_listed_with_what_it_tried_measured_and_came_to(adctl, night: Sweep):
    rows = [line.split() for line in adctl("sweep", "trials", "night").out.splitlines()]

    assert " ".join(rows[0]) == "TRIAL STATE IMAGE_AUROC LR IMAGE_SIZE MODE TIME JOB NOTE"
    assert rows[1][:6] == ["0", "complete", "0.9100", "0.0001", "16", "mean"]
    assert rows[2][-1] == "best"
    assert rows[2][7] == night.jobs[1][0].id[:8]
    assert rows[4][:3] == ["3", "failed", "-"]
    assert rows[4][-4:] == ["the", "loss", "is", "nan"]
    assert rows[5][:3] == ["4", "ruled", "out"]
    assert " ".join(rows[6][-4:]) == "known from the start"
    assert rows[7][:2] == ["6", "running"]


def test_trials_are_sorted_by_value_setting_time_or_state_and_kept_by_state(adctl, night: Sweep):
    def numbers(*options: str) -> list[int]:
        called = adctl("sweep", "trials", "night", "-q", *options)
        assert called.code == 0, called.err
        return [int(line) for line in called.out.split()]

    assert numbers() == [0, 1, 2, 3, 4, 5, 6]
    assert numbers("--reverse") == [6, 5, 4, 3, 2, 1, 0]
    assert numbers("--sort", "value")[:3] == [1, 0, 5]
    assert numbers("--sort", "IMAGE_AUROC")[:3] == [1, 0, 5]
    assert numbers("--sort", "validation/image_auroc", "--reverse")[:3] == [5, 0, 1]
    assert numbers("--sort", "lr")[:2] == [0, 5]
    assert numbers("--sort", "Mode", "-s", "complete") == [0, 5, 1]
    assert numbers("--state", "PRUNED", "--state", "failed") == [2, 3, 4]
    assert numbers("--sort", "state")[0] == 6
    assert numbers("--sort", "value", "-n", "1") == [1]
    assert len(numbers("--sort", "time")) == 7


def test_what_trials_are_sorted_by_is_named_where_it_is_mistyped(adctl, night: Sweep):
    called = adctl("sweep", "trials", "night", "--sort", "imagesize")

    assert called.code == 2
    assert "did you mean image_size?" in called.err


def test_of_latency_the_least_comes_first(adctl, desk: Bench):
    sweep = Sweep.of(desk.store, "quick", objectives=("latency_ms",))
    for value in (30.0, 10.0, 20.0):
        sweep.tried(LOW, value)

    assert adctl("sweep", "trials", "quick", "-q", "--sort", "value").out.split() == ["1", "2", "0"]
    assert facts(adctl("sweep", "show", "quick").out)["latency_ms"] == "10.0000"


def test_trials_of_json_have_values_by_name_and_their_jobs(adctl, night: Sweep):
    first = adctl("sweep", "trials", "night", "--json").json[0]

    assert first["values"] == {"validation/image_auroc": 0.91}
    assert first["settings"] == LOW
    assert first["jobs"] == [night.jobs[0][0].id]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_trials_fit_the_terminal_and_their_columns_stand_where_they_stand(
    width: int, adctl, night: Sweep, monkeypatch
):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from ad_cli.main import run

    starts = []
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    for options in ([], ["-s", "running"], ["-s", "complete", "-n", "1"]):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        assert run(["sweep", "trials", "night", *options]) == 0
        lines = terminal.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        starts.append(lines[0])
    assert len(set(starts)) == 1


def test_the_best_is_printed_as_a_submit_takes_it(adctl, desk: Bench, night: Sweep):
    called = adctl("sweep", "best", "night")
    quiet, as_json = adctl("sweep", "best", "night", "-q"), adctl("sweep", "best", "night", "--json").json

    assert called.out == quiet.out == "-S lr=0.0123456789 -S image_size=32 -S mode=median\n"
    assert "trial 1: validation/image_auroc 0.9712" in called.err
    assert quiet.err == ""
    assert as_json["settings"] == MID
    assert as_json["options"] == called.out.strip()
    assert f"adctl submit train --from {night.jobs[1][0].id}" in called.err


def test_a_best_that_is_known_from_elsewhere_is_trained_by_its_settings(adctl, desk: Bench):
    Sweep.of(desk.store, "warm").known(LOW, 0.99)
    called = adctl("sweep", "best", "warm")

    assert "trial 0: validation/image_auroc 0.9900" in called.err
    train = "adctl submit train --model toy --preset tiny --dataset parts --category screw $(adctl sweep best"
    assert train in called.err


def test_the_best_has_what_the_sweep_sets_beside_its_preset(adctl, desk: Bench, screw):
    adctl(
        *("submit", "sweep", "-m", "toy", "--data", str(screw), "-P", "lr=0.1:0.5", "-S", "mode=median"),
        *("-S", "layers=3,4", "--name", "s"),
    )
    Sweep.found(desk.store, "s").tried({"lr": 0.25}, 0.9)

    called = adctl("sweep", "best", "s")

    assert called.out == "-S lr=0.25 -S layers=3,4 -S mode=median\n"
    assert "not searched, but other than the preset has it: layers, mode" in called.err


def test_without_a_complete_trial_there_is_no_best_and_it_says_where_to_look(adctl, desk: Bench):
    Sweep.of(desk.store, "new")
    called = adctl("sweep", "best", "new")

    assert called.code == 3
    assert called.err == "error: no trial of sweep new has completed (none yet); why: adctl why new\n"


def test_several_objectives_have_a_front(adctl, desk: Bench):
    sweep = Sweep.of(desk.store, "two", objectives=("validation/image_auroc", "latency_ms"))
    for params, values in ((LOW, (0.9, 12.5)), (MID, (0.95, 25.0)), (HIGH, (0.8, 22.0))):
        sweep.tried(params, *values)

    shown, best = adctl("sweep", "show", "two"), adctl("sweep", "best", "two")
    notes = [line.split()[-1] for line in adctl("sweep", "trials", "two").out.splitlines()[1:]]

    front = shown.out[shown.out.index("front") :].splitlines()
    assert [line.split()[0] for line in front[2:4]] == ["1", "0"]
    assert [line.split()[1] for line in best.out.splitlines()] == ["lr=0.0123456789", "lr=0.0001"]
    assert [each["number"] for each in adctl("sweep", "best", "two", "--json").json] == [1, 0]
    assert notes[:2] == ["front", "best"]


def test_a_sweep_is_named_in_any_case_by_its_id_or_as_the_last(adctl, night: Sweep):
    for text in ("night", "NIGHT", night.study.id, night.study.id[:15], "@last"):
        called = adctl("sweep", "show", text, "-q")
        assert called.out == "night running\n", called.err


def test_a_sweep_that_is_mistyped_is_answered_with_the_nearest(adctl, night: Sweep):
    called = adctl("sweep", "show", "nigth")

    assert called.code == 2
    assert called.err == "error: no sweep named 'nigth'; did you mean night?\n"


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.STOPPED])
def test_a_sweep_that_is_held_back_says_how_it_goes_on(state: StudyState, adctl, night: Sweep):
    night.store.studies.steer(night.study.id, state=state)

    assert "let it go on: adctl sweep resume night" in adctl("sweep", "show", "night").err
