"""Promises of `adctl models` and of promoting from the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import fitted
from ad_platform.records import Job
from clientkit import Bench, bench


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> fitted.Fitted:
    return fitted.fit(tmp_path_factory.mktemp("fitted"))


@pytest.fixture(scope="module")
def desk(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One store for all tests here."""
    with bench(template, tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(scope="module")
def train(desk: Bench, made: fitted.Fitted) -> Job:
    job = fitted.trained(desk.store, desk.client.storage, made)
    fitted.evaluated(desk.store, desk.client.storage, made, job)
    return job


@pytest.fixture
def promoted(adctl, train: Job) -> Job:
    assert adctl("promote", train.id, "--wait", "0", "-q").out == f"{fitted.MODEL}@champion\n"
    return train


def test_the_list_says_how_good_a_model_is_and_who_promoted_it(adctl, promoted: Job, made: fitted.Fitted):
    header, row = adctl("models", "list").out.splitlines()
    auroc = made.result["metrics"]["test/image_auroc"]  # type: ignore[index,call-overload]

    assert row.startswith(f"{fitted.MODEL}@champion  1")
    assert header.index("JOB") == row.index(promoted.id)
    assert row[header.index("IMAGE AUROC") :].startswith(f"{auroc:.4f} [")
    assert row[header.index("BY") :].startswith("kim")
    assert adctl("models", "list", "-q").out == f"{fitted.MODEL}@champion\n"


def test_json_holds_the_same_with_intervals_and_origin(adctl, promoted: Job, made: fitted.Fitted):
    (found,) = adctl("models", "list", "--json").json

    assert (found["model"], found["alias"], found["revision"]) == (fitted.MODEL, "champion", 1)
    assert (found["job_id"], found["detector"], found["category"]) == (promoted.id, "pixel_mean", "screw")
    assert found["intervals"] == made.result["intervals"]
    assert (found["selected_on"], found["forced"], found["version"]) == ("none", False, None)


def test_show_tells_measures_gates_and_every_decision(adctl, promoted: Job, made: fitted.Fitted):
    shown = adctl("models", "show", "SCREW").out
    whole = adctl("models", "show", "screw@champion", "--json").json

    for words in (
        "test/image_auroc",
        "selected on  none",
        "decided      ",
        "no worse",
        "history",
        "by kim",
    ):
        assert words in shown
    assert [gate["passed"] for gate in whole["gates"]] == [True] * 10
    assert next(gate for gate in whole["gates"] if gate["gate"] == "false alarms")["evidence"]["of"] == 9
    assert whole["operating_point"]["threshold"] == made.result["operating_point"]["threshold"]  # type: ignore[index,call-overload]
    assert (len(whole["weights"]), whole["limits"]["margin"]) == (64, 0.01)
    assert [each["revision"] for each in whole["history"]] == [1]
    assert adctl("models", "show", "screw", "-q").out == f"{promoted.id}\n"


def test_a_forced_promotion_shows_what_was_overruled_and_why(adctl, desk: Bench, made, promoted: Job):
    worse = fitted.trained(desk.store, desk.client.storage, made)
    forced = ("--force", "--reason", "seen by eye", "--alias", "candidate", "--wait", "0")

    assert adctl("promote", worse.id, *forced).code == 0
    shown = adctl("models", "show", "screw@candidate").out

    assert "forced past  'evaluated': it was not evaluated" in shown
    assert "reason       seen by eye" in shown
    assert "forced: seen by eye" in shown


def test_a_mistyped_model_or_alias_is_answered_with_the_nearest(adctl, promoted: Job):
    wrong, alias = adctl("models", "show", "scerw"), adctl("models", "show", "screw@champio")

    assert (wrong.code, f"did you mean {fitted.MODEL}?" in wrong.err) == (2, True)
    assert (alias.code, "did you mean champion?" in alias.err) == (2, True)


def test_a_champion_can_be_given_another_alias_by_its_name(adctl, promoted: Job):
    called = adctl("promote", "screw@champion", "--alias", "challenger", "--wait", "0")

    assert called.code == 0
    assert called.out == f"{fitted.MODEL}@challenger  {promoted.id}\n"


def test_an_alias_that_looks_mistyped_is_pointed_out(adctl, promoted: Job):
    called = adctl("promote", promoted.id, "--alias", "champoin", "--wait", "0")

    assert called.code == 0
    assert "champoin is a new alias; was champion meant?" in called.err


def test_an_empty_list_is_no_data(tmp_path, template, capsys):
    from ad_cli import session
    from ad_cli.main import run

    with bench(template, tmp_path) as empty, session.lend(empty.client):
        assert run(["models", "list"]) == 0
        said = capsys.readouterr()
        assert (said.out, "adctl promote JOB" in said.err) == ("", True)
        assert run(["models", "show", "screw"]) == 2
        assert "no model carries an alias yet" in capsys.readouterr().err


def test_history_lists_every_decision_and_rollback_adds_one(adctl, desk: Bench, made, promoted: Job):
    other = fitted.trained(desk.store, desk.client.storage, made)
    fitted.evaluated(desk.store, desk.client.storage, made, other)
    for job in (promoted, other):
        assert adctl("promote", job.id, "--alias", "line2", "--wait", "0").code == 0
    back = adctl("models", "rollback", "screw@line2", "--reason", "it flickers", "--wait", "0")

    assert back.code == 0, back.err
    assert back.out == f"{fitted.MODEL}@line2  {promoted.id}\n"
    assert "goes back from revision 2 to 1" in back.err
    header, *rows = adctl("models", "history", "screw@line2").out.splitlines()
    assert [row.split()[1] for row in rows] == ["3", "2", "1"]
    assert rows[0][header.index("WHY") :] == "back to 1: it flickers"
    assert [one["revision"] for one in adctl("models", "history", "screw@line2", "--json").json] == [3, 2, 1]
    assert adctl("models", "history", "screw@line2", "-q").out.splitlines()[0] == f"{fitted.MODEL}@line2:3"
    named = adctl("models", "rollback", "screw@line2", "--to", "2", "--reason", "again", "--wait", "0")
    assert named.out == f"{fitted.MODEL}@line2  {other.id}\n"


def test_a_rollback_to_nothing_is_refused_in_a_line(adctl, promoted: Job):
    for arguments, code, words in (
        (("screw",), 2, "reason"),
        (("screw", "--reason", "why"), 3, "had no other model before"),
        (("screw", "--to", "9", "--reason", "why"), 2, "has no revision 9"),
        (("screw@champion:1", "--reason", "why"), 3, "is that model with that threshold already"),
    ):
        called = adctl("models", "rollback", *arguments)
        assert (called.code, called.out, words in called.err) == (code, "", True), called.err


def test_diff_tells_weights_thresholds_and_gates_apart(adctl, desk: Bench, made, promoted: Job):
    asked = ("--alias", "loose", "--wait", "0")
    assert adctl("threshold", "screw", "--fpr", "0.4", *asked).code == 0
    shown = adctl("models", "diff", "screw", "screw@loose")
    whole = adctl("models", "diff", "screw", "screw@loose", "--json").json

    assert shown.code == 0, shown.err
    assert "the weights are the very same" in shown.err
    assert "threshold" in shown.out
    assert "at most 40 % false alarms" in shown.out
    assert (whole["same"], whole["same_weights"]) == (False, True)
    assert whole["model"]["threshold"]["a"] != whole["model"]["threshold"]["b"]
    assert "false alarms" in whole["gates"]


def test_diff_of_two_fits_has_the_paired_difference(adctl, desk: Bench, made, promoted: Job):
    other = fitted.trained(desk.store, desk.client.storage, made)
    fitted.evaluated(desk.store, desk.client.storage, made, other)
    whole = adctl("models", "diff", "screw@champion:1", other.id, "--json")

    assert whole.code == 0, whole.err
    found = whole.json["metrics"]["test/image_auroc"]
    assert found["paired"] == {"difference": 0.0, "low": 0.0, "high": 0.0}
    assert whole.json["same_weights"] is True
    assert "METRICS" not in adctl("models", "diff", "screw", other.id).out
