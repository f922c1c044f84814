"""All promises at once: many short jobs while workers, children, broker and MLflow die at random."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ground import Ground
from mlflow_home import QUIET
from mortal_mlflow import MortalMlflow, mortal_mlflow
from soaking import Soak

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]
EVERYDAY = "clustered"


@pytest.fixture(scope="module")
def server(folder: Path, stack: Ground) -> Iterator[MortalMlflow]:
    host = stack.hosts.mlflow if stack.hosts else None
    with mortal_mlflow(folder / f"mlflow-{id(stack)}", host) as server:
        stack.platform.extra = {**stack.platform.extra, "MLFLOW_TRACKING_URI": server.url}
        server.start()
        yield server


def fight(land: Ground, server: MortalMlflow, jobs: int, workers: int, seed: int) -> None:
    soak = Soak(land, server, random.Random(seed))
    print(f"seed {seed}: {soak.check(soak.fight(jobs, workers))}")


@pytest.mark.timeout(600)
def test_a_short_fight_loses_and_doubles_nothing(land: Ground, server: MortalMlflow) -> None:
    fight(land, server, jobs=60, workers=2, seed=11)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_a_long_fight_loses_and_doubles_nothing(land: Ground, server: MortalMlflow) -> None:
    """ADCTL_SOAK_JOBS, ADCTL_SOAK_WORKERS and ADCTL_SOAK_SEED make another one of it."""
    asked = os.environ.get
    fight(
        land,
        server,
        jobs=int(asked("ADCTL_SOAK_JOBS", "1000")),
        workers=int(asked("ADCTL_SOAK_WORKERS", "4")),
        seed=int(asked("ADCTL_SOAK_SEED", "11")),
    )
