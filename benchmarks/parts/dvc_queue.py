"""Trivial jobs through a DVC experiments queue, in a virtual environment of its own."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from parts.home import PATIENCE, run

DVC = "dvc>=3,<4"


def install(venv: Path) -> str:
    """Make the environment if it is not there; return why there is none, or nothing."""
    if (venv / "bin" / "dvc").exists():
        return ""
    try:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
        subprocess.run(
            [str(venv / "bin" / "pip"), "install", "--quiet", DVC],
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
    except (OSError, subprocess.SubprocessError) as error:
        words = str(getattr(error, "stderr", "") or error).split("\n")[0]
        return f"dvc cannot be installed: {words[:120]}"
    return ""


def jobs(venv: Path, folder: Path, count: int = 3, workers: int = 1) -> float:
    """Queue experiments of one line each, start the queue, and return the seconds until all have ended."""
    repository = folder / "dvc-repository"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir()
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "PYTHONPATH"))},
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "HOME": str(repository),
        **{
            f"GIT_{who}_{what}": "bench@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    _prepare(repository, env)
    began = time.monotonic()
    for number in range(1, count + 1):
        run(["dvc", "exp", "run", "--queue", "--set-param", f"step={number}"], env, repository)
    run(["dvc", "queue", "start", "--jobs", str(workers)], env, repository)
    while True:
        status = run(["dvc", "queue", "status"], env, repository)
        if "Failed" in status:
            raise SystemExit(f"a dvc experiment failed:\n{status}")
        if status.count("Success") >= count:
            break
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"the dvc queue did not end:\n{status}")
    took = time.monotonic() - began
    run(["dvc", "queue", "stop"], env, repository)
    return took


def _prepare(repository: Path, env: dict[str, str]) -> None:
    (repository / "params.yaml").write_text("step: 0\n")
    (repository / "job.py").write_text("from pathlib import Path\nPath('out.txt').write_text('done')\n")
    (repository / "dvc.yaml").write_text(
        "stages:\n  job:\n    cmd: python job.py\n"
        "    deps: [job.py]\n    params: [step]\n    outs: [out.txt]\n"
    )
    for command in (
        ["git", "init", "--quiet"],
        ["dvc", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "--message", "start"],
    ):
        run(command, env, repository)
