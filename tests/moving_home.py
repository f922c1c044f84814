"""An installation to move, as workers leave it: jobs, files, a sweep, runs and a champion."""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import study_cases as cases
from ad_platform import settings as environment
from ad_platform.records import Holding
from ad_platform.registry.projection import Projection
from ad_platform.registry.promotion import promote
from ad_platform.settings import Settings
from ad_platform.states import StudyState
from ad_platform.storage.moving import hash_of
from ad_platform.sweeps.optuna_study import OptunaStudy, close_storage, open_storage
from ad_platform.tracking.mlflow import open_tracker
from ad_platform.tracking.models import MlflowModels
from ad_platform.tracking.shipper import Shipper
from job_stories import Stories
from mlflow_home import copy_database, mlflow_home

PASSED_OVER = ("adctl_moved", "sqlite_sequence", "sqlite_stat1")


@dataclass
class MovingHome:
    """A home that stands still; the clock of its store does too."""

    folder: Path

    @property
    def settings(self) -> Settings:
        """Return its settings."""
        return environment.load({"ADCTL_HOME": str(self.folder), "ADCTL_NODE": "n1", "ADCTL_USER": "ann"})

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of a command that works with it."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ADCTL_", "MLFLOW_"))
        }
        return {**kept, "ADCTL_HOME": str(self.folder), "ADCTL_NODE": "n1", "ADCTL_USER": "ann"}

    def rows(self) -> dict[str, list[Any]]:
        """Return every row of every database, but for what a seal adds."""
        return {
            f"{file.stem}.{table}": content
            for file in sorted(self.folder.glob("*.db"))
            for table, content in rows_of(file).items()
        }

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of every file of the storage and of MLflow's."""
        return {
            str(path.relative_to(self.folder)): hash_of(path)
            for name in ("storage", "mlartifacts")
            for path in sorted((self.folder / name).rglob("*"))
            if path.is_file()
        }


def rows_of(file: Path) -> dict[str, list[Any]]:
    """Return the rows of each table of an SQLite file."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for name in sorted(names)
            if name not in PASSED_OVER
        }


def make(folder: Path, *, runs: bool = True, more: Mapping[str, int] | None = None) -> MovingHome:
    """Make a home: with MLflow's runs, which need MLflow, or without."""
    folder.mkdir(mode=0o700, parents=True)
    home, stories = MovingHome(folder), Stories(folder)
    trained = stories.trained()
    halfway = stories.submit(category="screw")
    lease = stories.lease(halfway)
    stories.checkpoint(lease, 4)
    stories.store.leases.give_back(lease, "the worker leaves")
    for _ in range((more or {}).get("queued", 2)):
        stories.submit(category="nut")
    stories.store.jobs.retry(stories.store.jobs.cancel(stories.submit(category="nut").id).id)
    promote(stories.store, stories.storage, trained, "champion", "ann")
    spec = cases.spec(space=(cases.NOISE, cases.W))
    study = cases.study(spec, id="a" * 16, name="night", state=StudyState.PAUSED)
    stories.store.studies.create(study)
    kept = open_storage(home.settings)
    OptunaStudy(kept, study, spec).add(cases.trials(spec, 6))
    close_storage(kept)
    if runs:
        copy_database(mlflow_home()[0].home / "mlflow.db", folder / "mlflow.db")
        tracker = open_tracker(home.settings)
        projection = Projection(stories.store, stories.storage, MlflowModels(tracker))
        while Shipper(stories.store, stories.storage, tracker, "me", [projection]).once():
            pass
    stories.store.workers.hold(
        [Holding(node="n1", fingerprint="c" * 64, dataset="d", category="c", path="/d")]
    )
    stories.store.retention.identity()
    stories.store.close()
    shutil.rmtree(folder / "bundle")
    return home
