"""One MLflow database for all tests that need a real one: making it takes seconds."""

import atexit
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from ad_platform import settings as environment
from ad_platform.settings import Settings
from ad_platform.tracking.mlflow import prepare

PREPARE = "\n".join(
    (
        "from ad_platform import settings",
        "from ad_platform.tracking.mlflow import prepare",
        "prepare(settings.load())",
    )
)
# MLflow 3.17 uses what SQLAlchemy 2.1 and others call deprecated; those words are not for us.
QUIET = tuple(f"ignore::{kind}Warning" for kind in ("Deprecation", "Future", "PendingDeprecation", "User"))


@cache
def mlflow_home(name: str = "") -> tuple[Settings, int]:
    """Return settings whose MLflow is ready, and the exit code of a process that prepared it beside us.

    Tests that write into it by processes they kill, or that count what is in it, give it a name of their own.
    """
    settings, code = _template()
    home = Path(tempfile.mkdtemp(prefix="adctl mlflow "))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    copy_database(settings.home / "mlflow.db", home / "mlflow.db")
    return environment.load({"ADCTL_HOME": str(home), "ADCTL_NODE": "n1"}), code


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file as it stands, with what is still in its log."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=WAL")


@cache
def _template() -> tuple[Settings, int]:
    """Make the database that all others are copies of; nobody writes into it."""
    home = tempfile.mkdtemp(prefix="adctl mlflow ")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    settings = environment.load({"ADCTL_HOME": home, "ADCTL_NODE": "n1"})
    other = subprocess.Popen([sys.executable, "-c", PREPARE], env=child_environment(Path(home)))
    prepare(settings)
    return settings, other.wait(120)


def child_environment(home: Path) -> dict[str, str]:
    """Return the environment of a process that works with a home alone and imports what we import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ADCTL_", "MLFLOW_"))}
    return {
        **kept,
        "ADCTL_HOME": str(home),
        "ADCTL_NODE": "n1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
