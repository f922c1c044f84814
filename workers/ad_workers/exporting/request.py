"""What a person wants exported, and what the files are called."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ad_platform import models
from ad_platform.errors import InvalidRequest
from ad_platform.models import Model


class Format(StrEnum):
    """A kind of file."""

    ONNX = "onnx"
    OPENVINO = "openvino"


SUFFIX = {Format.ONNX: ".onnx", Format.OPENVINO: ".xml"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person wants exported."""

    model: str
    format: Format
    out: Path | None = None  # None: named after the model, here
    force: bool = False  # replace files that lie there
    rate: float | None = None  # of false alarms; None takes the calibrated threshold
    threshold: float | None = None  # set by hand
    check: str | None = None  # pictures to compare scores on; None: those of the category, if they lie here


def detector_of(model: Model) -> str:
    """Return the name of a model's detector; raise InvalidRequest for a folder that says none."""
    if model.job is not None:
        return model.job.spec.detector
    assert model.folder is not None
    try:
        return str(json.loads((model.folder / models.CONFIG).read_text())["detector"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"{model.folder / models.CONFIG} does not name a detector") from error


def files_of(kind: Format, target: Path) -> tuple[Path, ...]:
    """Return the files of an export, the one that is opened last."""
    return (target,) if kind is Format.ONNX else (target.with_suffix(".bin"), target)
