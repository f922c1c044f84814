"""Promises of adctl as people run it: a process, a fresh home, and no services."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ad_platform.store.engine import open_store
from clientkit import ENTRY, make_category
from told_while_importing import MAKES_AN_ERROR, RAISES, SWALLOWS, told_at


@pytest.fixture
def call(tmp_path: Path):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
    env |= {"ADCTL_HOME": str(tmp_path / "a home")}

    def run(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ad_cli", *arguments]
        called = subprocess.run(
            command, env={**env, **more}, capture_output=True, text=True, check=False, timeout=60
        )
        assert called.returncode == code, called.stderr
        assert "Traceback" not in called.stderr
        return called

    return run


def test_a_home_is_made_a_job_submitted_without_any_service_and_listed(call, tmp_path: Path):
    assert "adctl up" in call("list", code=4).stderr
    call("db", "upgrade")
    call("db", "check")
    store = open_store(f"sqlite:///{tmp_path / 'a home' / 'store.db'}")
    store.workers.publish({"toy": ENTRY}, "w0")
    store.close()
    folder = make_category(tmp_path / "images")

    submitted = call("submit", "train", "-m", "toy", "--data", str(folder), "--json")
    listed = call("list", "--json")

    value = json.loads(submitted.stdout)
    assert value["rung"] is False
    assert "no worker is online" in submitted.stderr
    assert {job["id"] for job in json.loads(listed.stdout)} == {job["id"] for job in value["jobs"]}
    assert value["jobs"][0]["code"]["version"]
    assert (tmp_path / "a home").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def told_while_it_imports(call, tmp_path: Path):
    """Give what calls adctl with a module that is imported when a signal comes, and makes something of it."""

    def told(*arguments: str, code: int, **hook: str) -> None:
        # Python ignores Ctrl-C where whoever started it did, as shells do for what runs in the background.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            assert call(*arguments, code=code, PYTHONPATH=told_at(tmp_path, **hook)).stderr == ""
        finally:
            signal.signal(signal.SIGINT, before)

    return told


@pytest.mark.parametrize(("told", "code"), [("SIGTERM", 0), ("SIGINT", 130)])
@pytest.mark.parametrize("then", [SWALLOWS, MAKES_AN_ERROR])
def test_a_worker_told_to_leave_while_it_imports_leaves_whatever_the_module_makes_of_that(
    told_while_it_imports, told: str, code: int, then: str
):
    told_while_it_imports("worker", "start", code=code, module="celery.apps.worker", told=told, then=then)


@pytest.mark.parametrize("then", [RAISES, MAKES_AN_ERROR])
def test_ctrl_c_during_an_import_is_no_fault_of_adctl(call, told_while_it_imports, then: str):
    call("db", "upgrade")
    told_while_it_imports("list", code=130, module="sqlalchemy", told="SIGINT", then=then)
