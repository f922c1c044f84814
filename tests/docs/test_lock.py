"""The lock can be trusted as far as that can be seen without a network: exact, whole, and not of old.

What is known against its versions is asked of PyPI by `make audit`.
"""

import datetime
import importlib.metadata
import os
import re
import runpy
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
ADVISORIES = tomllib.loads((ROOT / ".ci" / "advisories.toml").read_text())
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
OURS = {"adctl", "pip"}  # pip comes with Python, and sets up the rest
ID = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+")
ALWAYS_BETA = {"opentelemetry-semantic-conventions"}  # MLflow brings it; there is no other release of it
LONGEST = datetime.timedelta(days=366)


def pins() -> Mapping[str, Version]:
    return {canonicalize_name(line.split("==")[0]): Version(line.split("==")[1]) for line in LINES}


def test_every_line_of_the_lock_is_one_name_and_one_version_each_once_and_in_order() -> None:
    exact = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[0-9][A-Za-z0-9.+!]*")
    assert [line for line in LINES if not exact.fullmatch(line)] == []
    names = [line.split("==")[0].casefold() for line in LINES]
    assert len(names) == len(pins())
    assert names == sorted(names)
    assert {name for name, version in pins().items() if version.is_prerelease} <= ALWAYS_BETA


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {canonicalize_name(each.name): each.version for each in importlib.metadata.distributions()}
    locked = {name: str(version) for name, version in pins().items()}
    other = {name: found for name, found in installed.items() if name in locked and found != locked[name]}
    assert other == {}
    extra = installed.keys() - locked.keys() - OURS
    if extra and not os.environ.get("CI"):
        pytest.skip(f"this environment has more than was asked for: {', '.join(sorted(extra))}")
    assert extra == set()


@pytest.mark.parametrize("floor", ADVISORIES["floors"], ids=lambda floor: f"{floor['package']} {floor['id']}")
def test_the_lock_has_nothing_that_was_mended_long_ago(floor: Mapping[str, str]) -> None:
    assert ID.fullmatch(floor["id"])
    assert len(floor["why"]) > 20
    assert pins()[canonicalize_name(floor["package"])] >= Version(floor["version"])


def faults(advisories: Mapping[str, Any], today: datetime.date) -> list[str]:
    """Say what is wrong with the list of advisories that are passed over."""
    found: list[str] = []
    for each in advisories["ignored"]:
        name = str(each.get("id"))
        if not ID.fullmatch(name):
            found.append(f"{name} is no id of an advisory")
        if canonicalize_name(each["package"]) not in pins():
            found.append(f"{name}: {each['package']} is not in the lock any more")
        if len(each["reason"]) < 20:
            found.append(f"{name}: the reason says too little")
        if not today <= each["expires"] <= today + LONGEST:
            found.append(f"{name}: look again, and give a date at most a year ahead")
    return found


def test_advisories_that_are_passed_over_have_a_reason_and_an_end() -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    assert faults(ADVISORIES, today) == []
    good = {"id": "CVE-2030-12345", "package": "torch", "reason": "x" * 30, "expires": today}
    assert faults({"ignored": [good]}, today) == []
    for change in (
        {"id": "x"},
        {"package": "left"},
        {"reason": "no"},
        {"expires": today - datetime.timedelta(days=1)},
        {"expires": today + datetime.timedelta(days=400)},
    ):
        assert len(faults({"ignored": [{**good, **change}]}, today)) == 1


def test_an_audit_that_could_ask_nobody_does_not_say_that_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = runpy.run_path(str(ROOT / ".ci" / "audit.py"), run_name="audit")
    main = audit["main"]
    monkeypatch.setitem(main.__globals__, "PROBE", "http://127.0.0.1:1/pypi/pip/json")
    assert main() == 75
    assert "nothing was checked" in capsys.readouterr().err


def test_an_audit_passes_over_what_is_listed_and_takes_what_nobody_knows_for_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    audit = runpy.run_path(str(ROOT / ".ci" / "audit.py"), run_name="audit")
    main, calls = audit["main"], list[list[str]]()
    today = datetime.datetime.now(tz=datetime.UTC).date()
    listed = tmp_path / "advisories.toml"
    entries = {"CVE-1": today, "CVE-2": today - datetime.timedelta(days=2)}
    lines = [f'[[ignored]]\nid = "{name}"\nexpires = {end}\n' for name, end in entries.items()]
    listed.write_text("".join(lines))

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        calls.append(command)
        return subprocess.CompletedProcess(command, 1)

    for name, value in {
        "out_of_reach": lambda: "",
        "auditor": lambda: Path("python"),
        "ADVISORIES": listed,
    }.items():
        monkeypatch.setitem(main.__globals__, name, value)
    monkeypatch.setattr(subprocess, "run", run)
    assert main() == 1
    (call,) = calls
    assert {"--strict", "--no-deps", str(ROOT / "constraints.txt")} <= {*call}
    assert call[call.index("--ignore-vuln") :] == ["--ignore-vuln", "CVE-1"]


def test_a_version_that_was_withdrawn_stops_the_installation(tmp_path: Path) -> None:
    """By what pip says of it: the index marks such files, and pip installs a pinned one all the same."""
    venv = (ROOT / ".ci" / "venv").read_text()
    assert "yanked" in venv
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in *install*) echo "WARNING: The candidate selected for download or install is a yanked'
        ' version: x" >&2;; esac\n'
    )
    python.chmod(0o755)
    (tmp_path / "venv" / ".adctl-place").write_text(str(tmp_path / "venv"))
    command = ["bash", str(ROOT / ".ci" / "venv"), str(tmp_path / "venv"), "dev"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "withdrawn" in done.stderr
    assert not list((tmp_path / "venv").glob(".adctl-dev"))
