"""Promises of what a job records about the code that submitted it."""

import subprocess
from pathlib import Path

import pytest

from ad_platform.code_version import code_version


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9"\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_checkout_is_named_by_its_commit(checkout: Path):
    assert code_version(checkout) == {"version": "9.9", "commit": git(checkout, "rev-parse", "HEAD")}


def test_a_changed_tree_is_never_recorded_as_clean(checkout: Path):
    diffs = []
    for name, text in (("new.py", "a"), ("new.py", "b"), ("pyproject.toml", '[project]\nversion = "10"\n')):
        (checkout / name).write_text(text)
        diffs.append(code_version(checkout)["diff"])
    git(checkout, "add", ".")
    diffs.append(code_version(checkout)["diff"])

    assert len(set(diffs)) == 4
    assert all(len(diff) == 64 for diff in diffs)


def test_a_checkout_that_git_cannot_read_is_unknown_rather_than_clean(checkout: Path):
    (checkout / ".git" / "HEAD").unlink()

    facts = code_version(checkout)

    assert (facts["commit"], facts["diff"]) == ("unknown", "unknown")


def test_a_copy_within_somebody_elses_repository_has_a_version_only(checkout: Path):
    inside = checkout / "site-packages"
    inside.mkdir()

    assert set(code_version(inside)) == {"version"}
