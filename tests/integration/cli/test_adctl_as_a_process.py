"""Promises of adctl as people run it: a process, a fresh home, and no services."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ad_platform.store.engine import open_store
from clientkit import ENTRY, make_category


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


TOLD_TO_LEAVE = """
import os, signal, sys, time

class WhileItImports:
    def find_spec(self, name, path=None, target=None):
        if name == "celery.apps.worker":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            except BaseException:
                {then}

sys.meta_path.insert(0, WhileItImports())
"""


@pytest.mark.parametrize("then", ["pass", "raise ImportError('it failed to import') from None"])
def test_a_worker_told_to_leave_while_it_imports_what_swallows_any_exception_leaves(
    call, tmp_path: Path, then: str
):
    (tmp_path / "sitecustomize.py").write_text(TOLD_TO_LEAVE.format(then=then))
    first = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert call("worker", "start", PYTHONPATH=first).stderr == ""
