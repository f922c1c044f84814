"""Calls adctl as people do: a process with a home of its own, sometimes with few rights or little room."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mistakes import Desk, make_desk, make_template

Run = Callable[..., subprocess.CompletedProcess[str]]
WITHOUT_RIGHTS = ("-dac_override", "-dac_read_search")  # what lets root read and write everything


@dataclass(frozen=True)
class Person:
    """Somebody at a desk, with an environment that names its home."""

    desk: Desk
    env: dict[str, str]

    def types(
        self, *arguments: str, before: Sequence[str] = (), **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Call adctl and return how it ended; `before` is what calls it."""
        command = [*before, sys.executable, "-m", "ad_cli", *arguments]
        options = {"capture_output": True, "text": True, "timeout": 60, "env": self.env, **more}
        return subprocess.run(command, cwd=self.desk.images, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="session")
def busy_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def person(busy_template: Path, tmp_path: Path) -> Person:
    desk = make_desk(busy_template, tmp_path)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
    # Absolute, since the calls are made in another folder.
    env |= {"ADCTL_HOME": str(desk.home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return Person(desk, env)


@pytest.fixture
def rightless() -> Sequence[str]:
    """The words before a command that must not get past a folder's permissions, as root would."""
    if os.name != "posix" or os.getuid() != 0:
        return ()
    sets = ",".join(WITHOUT_RIGHTS)
    words = ("setpriv", f"--bounding-set={sets}", f"--inh-caps={sets}")
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root cannot give up its rights here: there is no setpriv")
    return words
