"""Where the files of a fitted model lie in a folder, and what is known of it besides its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ad_detectors.errors import DataError, StateError
from ad_detectors.evaluation.operating import OperatingPoint

CONFIG = "config.json"  # what makes a folder that of a fitted model
OPERATING = "operating_point.json"  # the thresholds, as an evaluation writes them
RELEASE = "release.json"  # what it is called, and how it was computed with
IN_PYFUNC = "artifacts/bundle"  # where a registered model's folder has them
MARK_OF_PYFUNC = "MLmodel"


@dataclass(frozen=True)
class Place:
    """A folder with a fitted model, read without torch."""

    folder: Path
    detector: str
    image_size: int  # pixels of either side that it takes
    operating: OperatingPoint | None
    threads: int | None  # that its evaluation computed with, on a CPU: another number gives other last digits
    name: str


def find(folder: Path) -> Place:
    """Return the fitted model in a folder: a bundle, or a registered model as MLflow downloads it.

    Raises DataError that says what is missing, StateError for files that cannot be read.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; name a folder with a fitted model, or models:/NAME@ALIAS")
    bundle = next((each for each in (folder, folder / IN_PYFUNC) if (each / CONFIG).is_file()), None)
    if bundle is None:
        what = "the model in it is none of ours" if (folder / MARK_OF_PYFUNC).is_file() else f"no {CONFIG}"
        raise DataError(f"{folder} holds no fitted model ({what})")
    about = _read(bundle / CONFIG)
    config = about.get("config")
    size = config.get("image_size") if isinstance(config, dict) else None
    if not isinstance(about.get("detector"), str) or not isinstance(size, int) or size < 1:
        raise StateError(f"{bundle / CONFIG} names no detector and its config; is this a model's folder?")
    release = _read(bundle / RELEASE) if (bundle / RELEASE).is_file() else {}
    threads = release.get("threads")
    return Place(
        folder=bundle,
        detector=about["detector"],
        image_size=size,
        operating=_operating(bundle / OPERATING),
        threads=threads if isinstance(threads, int) and threads > 0 else None,
        name=str(release.get("name") or folder.resolve().name),
    )


def _operating(path: Path) -> OperatingPoint | None:
    if not path.is_file() or not (flat := _read(path)):
        return None
    return OperatingPoint.from_json(flat)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"cannot read {path}: {error}") from error
    if value is None:  # an evaluation writes null where nothing was held out to calibrate on
        return {}
    if not isinstance(value, dict):
        raise StateError(f"{path} holds no JSON object; is this a model's folder?")
    return value
