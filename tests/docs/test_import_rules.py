"""Every import rule of pyproject.toml bites: a violation planted in a copy of the sources breaks it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")

# The contract's first words -> a new file and what it wrongly holds.
PLANTED = {
    "cli -> workers": ("platform/ad_platform/planted_upwards.py", "import ad_workers\n"),
    "The client, the platform and a worker's main": (
        "platform/ad_platform/planted_torch.py",
        "import torch\n",
    ),
    "The client and the platform do not know": (
        "cli/ad_cli/planted_detectors.py",
        "import ad_detectors.api\n",
    ),
    "Nobody imports the served": (
        "platform/ad_platform/planted_model.py",
        "from ad_platform.registry import pyfunc_model\n",
    ),
    "Only the store": ("cli/ad_cli/planted_sql.py", "def later():\n    import sqlalchemy\n"),
    "Only the queue": ("platform/ad_platform/planted_celery.py", "from kombu import Queue\n"),
    "Only tracking": ("workers/ad_workers/planted_mlflow.py", "from mlflow import MlflowClient\n"),
    "Only the storage": ("platform/ad_platform/store/planted_fsspec.py", "import fsspec.core\n"),
    "Only the command line": ("platform/ad_platform/planted_typer.py", "import typer\n"),
    "Nobody imports Optuna": ("platform/ad_platform/store/planted_optuna.py", "import optuna\n"),
    "Detectors do not know": (
        "detectors/ad_detectors/zoo/planted_detector.py",
        "from ad_detectors.zoo.ddad import config\n",
    ),
    "Commands ask the client": (
        "cli/ad_cli/planted_storage.py",
        "def later():\n    from ad_platform.storage import open_storage\n",
    ),
    "No cycles": ("detectors/ad_detectors/planted_one.py", "import ad_detectors.planted_two\n"),
}
OTHER_HALF = ("detectors/ad_detectors/planted_two.py", "import ad_detectors.planted_one\n")


def contracts() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in project["tool"]["importlinter"]["contracts"]]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for root in ROOTS:
        shutil.copytree(ROOT / root, copy / root, ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    for path, text in [*PLANTED.values(), OTHER_HALF]:
        (copy / path).write_text(text)
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=copy,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str(copy / root) for root in ROOTS), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    details = done.stdout.partition("Broken contracts\n")[2]
    sections = re.split(rf"^({'|'.join(map(re.escape, contracts()))})\n-+$", details, flags=re.M)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_every_contract_has_a_planted_violation() -> None:
    for name in contracts():
        assert sum(name.startswith(start) for start in PLANTED) == 1, name
    assert len(PLANTED) == len(contracts())


@pytest.mark.parametrize("name", contracts())
def test_a_planted_violation_breaks_its_contract(name: str, broken: dict[str, str]) -> None:
    path = next(path for start, (path, _) in PLANTED.items() if name.startswith(start))
    assert f".{Path(path).stem} " in broken[name]
