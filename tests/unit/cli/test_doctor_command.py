"""Promises of `adctl doctor` and `adctl config`."""

import pytest

from ad_cli.exits import Exit
from ad_platform.doctor.findings import Level


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
