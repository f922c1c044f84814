"""Promises of `adctl threshold`, and of what predicts with the threshold that was decided."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import fitted
from ad_platform.records import Job
from clientkit import Bench, bench


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> fitted.Fitted:
    return fitted.fit(tmp_path_factory.mktemp("fitted"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        yield made


@pytest.fixture
def promoted(adctl, desk: Bench, made: fitted.Fitted) -> Job:
    job = fitted.trained(desk.store, desk.client.storage, made)
    fitted.evaluated(desk.store, desk.client.storage, made, job)
    assert adctl("promote", job.id, "--wait", "0").code == 0
    return job


def test_a_preview_counts_both_thresholds_and_changes_nothing(adctl, desk: Bench, promoted: Job):
    called = adctl("threshold", "screw", "--fpr", "0.4")

    assert called.code == 0, called.err
    lines = called.out.splitlines()
    assert lines[2].startswith("now        ")
    assert "certified by 8 calibration images" in lines[2]
    assert "at most 40 % false alarms, certified by 8 calibration images" in lines[3]
    assert lines[5].split() == ["IMAGES", "NOW", "SHARE", "95", "%", "THEN", "SHARE", "95", "%"]
    assert [line[:14].strip() for line in lines[6:]] == ["false alarms", "misses", "cut"]
    assert len(desk.store.champions.history()) == 1


def test_json_holds_counts_intervals_and_what_is_promised(adctl, promoted: Job):
    told = adctl("threshold", "screw", "--recall", "1", "--json").json
    then = told["then"]

    assert then["misses"]["wrong"] == 0
    assert (then["by"], then["wanted"], then["certified"]) == ("recall", 1.0, False)
    assert "chosen by test labels" in then["guarantee"]
    assert then["false_alarms"]["interval"][1] <= 1
    assert [one["kind"] for one in then["defects"]] == ["cut"]
    assert told["now"]["certified"] is True
    assert adctl("threshold", "screw", "-q").out == f"{told['now']['threshold']!r}\n"


def test_a_version_with_another_threshold_has_the_same_weights(adctl, desk: Bench, promoted: Job):
    called = adctl("threshold", "screw", "--value", "1.25", "--alias", "champion", "--wait", "0")
    newest, first = desk.store.champions.history()

    assert called.code == 0, called.err
    assert (newest.revision, newest.job_id) == (2, first.job_id)
    assert newest.evidence["weights"] == first.evidence["weights"]
    assert newest.evidence["operating_point"]["threshold"] == 1.25  # type: ignore[index,call-overload]
    assert "threshold    1.25  no guarantee: it was set by hand" in adctl("models", "show", "screw").out


def test_predictions_use_the_threshold_that_was_decided(adctl, promoted: Job, made: fitted.Fitted):
    picture = str(next((made.category / "test" / "cut").iterdir()))
    assert adctl("threshold", "screw", "--value", "1000", "--alias", "champion", "--wait", "0").code == 0
    told = adctl("predict", "screw", picture, "--json")

    assert told.code == 0, told.err
    assert "anomalous above 1000 (no guarantee: it was set by hand)" in told.err
    assert '"decision": "normal"' in told.out
    assert adctl("models", "rollback", "screw", "--reason", "too high", "--wait", "0").code == 0
    assert '"decision": "anomalous"' in adctl("predict", "screw", picture, "--json").out


def test_the_gates_judge_a_threshold_too(adctl, desk: Bench, promoted: Job):
    (desk.home / "gates.toml").write_text("false_alarms = 0.05\n")
    asked = ("threshold", "screw", "--value", "0", "--alias", "champion")
    tried = adctl(*asked, "--dry-run")

    assert tried.code == 3
    assert "surely more than the 5 % allowed" in tried.out
    assert adctl(*asked).code == 3
    assert adctl(*asked, "--force", "--reason", "a test", "--wait", "0").code == 0
    assert desk.store.champions.history()[0].forced


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--fpr", "0.01"), 2, "8 calibration images certify no rate of false alarms below 0.1111"),
        (("--fpr", "0.2", "--recall", "0.9"), 2, "give one of --fpr, --recall and --value"),
        (("--alias", "champion"), 2, "say which threshold"),
        (("--fpr", "0.2", "--dry-run"), 2, "without --alias nothing is decided"),
        (("--fpr", "0.2", "--alias", "champion", "--force"), 2, "say why: --reason TEXT"),
        (("--recall", "2"), 2, "is at most 1, not 2"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(adctl, promoted: Job, arguments, code: int, words: str):
    called = adctl("threshold", "screw", *arguments)
    assert (called.code, called.out) == (code, "")
    assert words in called.err


def test_a_model_without_an_evaluation_names_the_command(adctl, desk: Bench, made: fitted.Fitted):
    job = fitted.trained(desk.store, desk.client.storage, made)
    called = adctl("threshold", job.id)
    assert (called.code, f"adctl submit evaluate {job.id}" in called.err) == (3, True)
