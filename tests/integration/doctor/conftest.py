"""A patient with a real MLflow database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_home import mlflow_home
from ward import Ward, copied


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    copied(mlflow_home("doctor")[0].home / "mlflow.db", tmp_path / "mlflow.db")
    made = Ward(tmp_path)
    yield made
    made.close()
