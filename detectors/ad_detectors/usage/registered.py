"""A registered model's files, brought here by MLflow: the one place where the library asks for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ad_detectors.errors import DataError

SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


def is_address(text: str) -> bool:
    """Say whether this is an address that MLflow knows, and no folder."""
    return text.startswith(SCHEMES)


def downloaded(address: str, folder: Path | None = None) -> Path:
    """Return a folder with the files of a registered model; raise DataError that says what to do.

    MLflow looks where MLFLOW_TRACKING_URI says. Without `folder` the files go to a temporary one that stays.
    """
    try:
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise DataError(
            f"{address} is found by MLflow, which is not installed here: pip install mlflow, "
            "or name a folder with the model's files"
        ) from error
    place = folder or Path(tempfile.mkdtemp(prefix="ad-detectors-model-"))
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(place)))
    except (MlflowException, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        where = mlflow.get_tracking_uri()
        raise DataError(
            f"MLflow at {where} does not give {address}: {first}; set MLFLOW_TRACKING_URI to the server "
            "that the model is registered with"
        ) from error
