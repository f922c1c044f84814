"""Promises of `adctl doctor` and `adctl config`."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ad_cli.exits import Exit
from ad_platform.doctor.findings import Level
from ad_platform.records import Holding
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import JobKind

SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="toy",
    dataset=DatasetRef(dataset="d", category="c", fingerprint="f", path="/d"),
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("ADCTL_DATA", "ADCTL_WEIGHTS", "ADCTL_HOEM", "MLFLOW_TRACKING_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_fresh_machine_has_no_problems_and_doctor_makes_nothing(adctl, desk):
    before = sorted(path.name for path in desk.home.iterdir())

    called = adctl("doctor", "--json")

    levels = {Level(each["level"]) for each in called.json}
    assert Level.PROBLEM not in levels, called.json
    assert called.code == Exit.OK
    made = {path.name for path in desk.home.iterdir()} - set(before)
    assert {
        name for name in made if not name.startswith("store.db-")
    } == set()  # SQLite's own, beside the store
    assert {"python", "devices", "weights", "data", "home", "disk", "services", "store", "broker"} <= {
        each["about"] for each in called.json
    }


def test_a_problem_gives_its_own_exit_code_and_alone_is_named_when_quiet(adctl, desk, tmp_path):
    (desk.home / "data").write_text("")  # what should be a folder
    (desk.home / "store.db").write_bytes(b"no database" * 1000)

    quiet, loud = adctl("doctor", "-q"), adctl("doctor")

    assert quiet.code == loud.code == Exit.UNFIT
    assert quiet.err == ""
    assert [line.split()[:2] for line in quiet.out.splitlines()] == [["problem", "store"]]
    assert "is damaged" in quiet.out
    assert quiet.out in loud.out
    assert "1 problem, " in loud.err


def test_the_images_below_the_data_root_are_looked_at(adctl, desk):
    from clientkit import make_category

    make_category(desk.home / "data")
    (desk.home / "data" / "parts" / "empty" / "train" / "good").mkdir(parents=True)

    told = [each for each in adctl("doctor", "--json").json if each["about"] == "data"]

    assert [each["level"] for each in told] == ["ok", "warning"]
    assert told[1]["remedy"].startswith("adctl data check")


@pytest.fixture
def sick(desk):
    """A job on a worker that is dead, and one that waits though its need has failed."""
    desk.online()
    ask = Submission(spec=SPEC, user="kim", queue="default")
    desk.store.jobs.submit([ask])
    desk.store.workers.hold([Holding(node="here", fingerprint="f", dataset="d", category="c", path="/d")])
    desk.lease(seconds=0.001)
    need, waits = desk.store.jobs.submit([ask, replace(ask, needs=("#0",))])
    with closing(sqlite3.connect(desk.home / "store.db")) as store, store:
        store.execute("UPDATE jobs SET lease_until = 1000.0 WHERE state = 'running'")
        now = desk.store.now()
        store.execute("UPDATE jobs SET state = 'failed', finished_at = ? WHERE id = ?", (now, need.id))
    return waits


def kinds(found):
    return {each["kind"]: each for each in found if each["level"] != "ok"}


def test_without_fix_all_that_can_be_mended_is_named_and_nothing_changed(adctl, desk, sick):
    before = (desk.home / "store.db").read_bytes()

    plain, dry, text = (
        adctl("doctor", "--json"),
        adctl("doctor", "--fix", "--dry-run", "--json"),
        adctl("doctor"),
    )

    assert plain.code == dry.code == text.code == Exit.UNFIT
    for found in (kinds(plain.json), kinds(dry.json)):
        assert (found["ended-needs"]["subject"], found["ended-needs"]["level"]) == (sick.id, "problem")
        assert all(found[kind]["fixable"] for kind in ("ended-needs", "expired-lease"))
        assert not any(each["fixed"] for each in found.values())
    assert "2 can be mended: adctl doctor --fix" in text.err
    assert "--fix has it fail" in text.out
    assert (desk.home / "store.db").read_bytes() == before
    assert desk.store.jobs.get(sick.id).state.value == "waiting"


def test_fix_mends_says_what_it_did_and_ends_well(adctl, desk, sick):
    called = adctl("doctor", "--fix", "--json")

    assert called.code == Exit.OK
    fixed = {kind: each for kind, each in kinds(called.json).items() if each["fixed"]}
    assert set(fixed) == {"ended-needs", "expired-lease"}
    assert fixed["ended-needs"]["said"] == "is failed now"
    assert "2 mended, 0 could not be" in called.err
    again = adctl("doctor", "--fix")
    assert again.code == Exit.OK
    assert "0 mended" in again.err
    assert "mended " not in again.out


def test_what_was_mended_is_told_in_words_and_what_could_not_be_with_the_reason(
    adctl, desk, sick, monkeypatch
):
    from ad_platform.errors import StoreDown
    from ad_platform.store.audit import SqlAudit

    def down(self, job_id):
        raise StoreDown("the store went away")

    monkeypatch.setattr(SqlAudit, "settle", down)
    called = adctl("doctor", "--fix")

    assert called.code == Exit.UNFIT
    lines = [line.split() for line in called.out.splitlines()]
    assert ["mended", "jobs", "expired-lease"] in [line[:3] for line in lines]
    assert f"failed   jobs         ended-needs {sick.id}: the store went away" in called.out
    assert "1 mended, 1 could not be" in called.err


def test_many_of_a_kind_take_few_lines_and_stand_whole_in_json(adctl, desk):
    for _ in range(9):
        desk.store.jobs.submit([Submission(spec=SPEC, user="kim")])
    with closing(sqlite3.connect(desk.home / "store.db")) as store, store:
        store.execute("DELETE FROM outbox")

    text, found = adctl("doctor"), adctl("doctor", "--json").json

    assert sum("has ever been woken" in line for line in text.out.splitlines()) == 3
    assert "and 6 more like these (unheard-job; all of them with --json)" in text.out
    assert sum(each["kind"] == "unheard-job" for each in found) == 9


def test_on_a_narrow_terminal_the_words_stand_in_a_column_of_their_own(adctl, desk, monkeypatch):
    from ad_cli import out

    monkeypatch.setattr(out, "width", lambda: 60)
    lines = adctl("doctor").out.splitlines()

    assert all(len(line) <= 60 or " " not in line[22:].strip() for line in lines), lines
    assert any(line.startswith(" " * 22) for line in lines)


def test_config_shows_every_setting_and_names_a_mistyped_one(adctl, desk, monkeypatch):
    monkeypatch.setenv("ADCTL_HOEM", "/x")
    monkeypatch.setenv("ADCTL_LEASE", "30")

    called, brief = adctl("config", "--json"), adctl("config", "-q")

    found = {each["name"]: each for each in called.json}
    assert found["ADCTL_HOME"]["value"] == str(desk.home)
    assert found["ADCTL_LEASE"]["source"] == "environment"
    assert "did you mean ADCTL_HOME?" in called.err
    assert f"ADCTL_HOME={desk.home}" in brief.out.splitlines()
    assert "SETTING" in adctl("config").out
