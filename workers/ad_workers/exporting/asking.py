"""What is to be exported, found and checked before torch is loaded: a mistake is said at once."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ad_detectors import registry
from ad_platform import models
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest, InvalidValue, MissingExtra
from ad_platform.models import Model
from ad_workers.exporting.request import SUFFIX, Asked, Format, detector_of, files_of
from ad_workers.predicting.pictures import collect
from ad_workers.predicting.wording import in_our_words

if TYPE_CHECKING:
    from ad_workers.exporting.making import Exported

MOST_COMPARED = 24  # pictures, unless they are named


NEEDED = {
    Format.ONNX: ("torch", "onnx", "onnxscript", "onnxruntime"),
    Format.OPENVINO: ("torch", "onnx", "onnxscript", "openvino"),
}


def export(client: Client, asked: Asked) -> "Exported":
    """Write a model to a file and say how near its scores are.

    What is wrong is raised before anything is written: InvalidRequest for a detector that cannot be exported,
    with the reason, for a model without a threshold, and for files that are in the way; MissingExtra where a
    library is missing.
    """
    if asked.rate is not None and asked.threshold is not None:
        raise InvalidRequest("give either --rate or --threshold, not both")
    if asked.threshold is not None and not math.isfinite(asked.threshold):
        raise InvalidValue(f"--threshold must be a number, not {asked.threshold}")
    if asked.rate is not None and not 0 < asked.rate < 1:
        raise InvalidValue(f"--rate is a share between 0 and 1, not {asked.rate:g}")
    model = models.find(client, asked.model)
    _refuse_what_cannot(model)
    if any(find_spec(name) is None for name in NEEDED[asked.format]):
        raise MissingExtra(f"exporting to {asked.format.value}", "export")
    target = _target(asked, model)
    pictures = _pictures(asked, model)
    from ad_workers.exporting.making import make

    return make(client, model, asked, target, pictures)


def _refuse_what_cannot(model: Model) -> None:
    name = detector_of(model)
    with in_our_words():
        reason = registry.describe(name).no_export
    if reason:
        raise InvalidRequest(
            f"a model of {name} cannot be exported: {reason}; score with adctl predict, or serve it by MLflow"
        )


def _target(asked: Asked, model: Model) -> Path:
    """Return where the file goes; raise InvalidRequest for another suffix and where something lies."""
    suffix = SUFFIX[asked.format]
    target = (asked.out or Path(f"{model.name}{suffix}")).expanduser()
    if target.is_dir():
        target = target / f"{model.name}{suffix}"
    if target.suffix != suffix:
        raise InvalidRequest(f"a file for {asked.format.value} ends in {suffix}: --out {target}{suffix}")
    for path in files_of(asked.format, target):
        if path.exists() and not asked.force:
            raise InvalidRequest(f"{path} exists already; replace it with --force, or choose another --out")
    return target


def _pictures(asked: Asked, model: Model) -> list[Path]:
    """Return the pictures to compare scores on; none where nobody named any and none lie here."""
    if asked.check is not None:
        root = Path(asked.check)
        below = [str(folder) for folder in sorted((root / "test").glob("*")) if folder.is_dir()]
        return collect(below or [asked.check])
    if model.job is None:
        return []
    test = Path(model.job.spec.dataset.path) / "test"
    folders = [str(folder) for folder in sorted(test.glob("*")) if any(folder.iterdir())]
    files = collect(folders) if folders else []
    return files[:: max(1, -(-len(files) // MOST_COMPARED))]
