"""The places on this machine are judged before something fails there."""

import os
import tempfile
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.doctor import places
from ad_platform.doctor.findings import Level
from ad_platform.errors import Unavailable
from ad_platform.settings import Settings
from ad_platform.stack.places import Places


def settings(home: Path, **more: str) -> Settings:
    return environment.load({"ADCTL_HOME": str(home), **more})


def test_a_home_without_rights_is_a_problem_also_before_it_is_made(tmp_path, monkeypatch):
    # Whoever runs this may be root, to whom everything is writable.
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    (found,) = places.home(settings(tmp_path / "a" / "b"))

    assert found.level is Level.PROBLEM
    assert found.words == f"{tmp_path} is not writable for you"


def test_a_home_of_another_user_and_one_on_a_network_disk_are_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(places, "_filesystem", lambda folder: "nfs4")

    found = list(places.home(settings(tmp_path)))

    assert [each.level for each in found] == [Level.WARNING, Level.WARNING]
    assert "you are 4711" in found[0].words
    assert "SQLite's locks do not hold" in found[1].words


def test_a_network_disk_is_no_matter_where_the_store_is_a_server(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_filesystem", lambda folder: "nfs4")

    found = list(places.home(settings(tmp_path, ADCTL_DATABASE_URL="postgresql://db/adctl")))

    assert [each.level for each in found if each.level is Level.WARNING] == []


def test_a_fine_home_is_told_and_nothing_is_made(tmp_path):
    home = tmp_path / "home"

    found = [*places.home(settings(home)), *places.sockets(settings(home)), *places.disks(settings(home))]

    assert {each.level for each in found} <= {Level.OK, Level.WARNING}
    assert not home.exists()
    assert not settings(home).run_dir.exists()


def test_too_long_a_folder_for_sockets_is_said_by_doctor_and_by_up(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 90)))
    long = settings(tmp_path / "home")

    (found,) = places.sockets(long)

    assert (found.level, found.remedy) == (Level.PROBLEM, "set TMPDIR to a shorter one, such as /tmp")
    with pytest.raises(Unavailable, match="too long a path for a socket; set TMPDIR"):
        Places(long).make()
    assert not (tmp_path / "home").exists()


def test_on_windows_it_is_said_that_up_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")

    (found,) = places.sockets(settings(tmp_path))

    assert (found.level, found.words) == (Level.PROBLEM, "adctl up does not run on Windows itself")


def test_a_run_folder_of_somebody_else_is_a_problem(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory() as short:  # a test's own folder has too long a name for a socket
        monkeypatch.setattr("tempfile.tempdir", short)
        there = settings(tmp_path / "home")
        there.run_dir.symlink_to(tmp_path, target_is_directory=True)

        (found,) = places.sockets(there)

    assert "belongs to somebody else" in found.words


@pytest.mark.parametrize(
    ("free", "level"), [(0, Level.PROBLEM), (2 * 10**9, Level.WARNING), (50 * 10**9, Level.OK)]
)
def test_little_room_is_a_warning_and_too_little_a_problem(free, level):
    assert places.room(free, "for ADCTL_HOME").level is level


def test_places_on_one_disk_are_one_finding_and_the_storage_is_among_them(tmp_path):
    found = list(places.disks(settings(tmp_path, ADCTL_STORAGE_URL=f"file://{tmp_path}/far/away")))

    assert sum("the storage" in each.words for each in found) == 1
    assert "the storage" not in places.written(settings(tmp_path, ADCTL_STORAGE_URL="s3://bucket/x"))
