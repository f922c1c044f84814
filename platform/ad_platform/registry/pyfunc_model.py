"""The model as MLflow serves it: images in, scores out. Runs where adctl was never installed."""

import base64
import binascii
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 8
_ADVICE = "give paths of images, base64-encoded images, or uint8 arrays of height x width x 3"


class Scoring:
    """A fitted detector; each image gets one score, higher is more anomalous."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the detector from the files of its bundle; nothing is unpickled."""
        from ad_detectors.checkpoint import load_model

        self._detector = load_model(Path(context.artifacts["bundle"]))

    # Without a hint for the input: MLflow would make a schema of it, and there are several kinds of images.
    # Where a PythonModel defines this method itself, MLflow warns that the hint is missing.
    def predict(self, context: PythonModelContext, model_input, params: Any = None) -> list[float]:  # type: ignore[no-untyped-def]
        """Return one score per image, in order; raise ValueError for what is no image."""
        images = _images(model_input)
        scores = [0.0] * len(images)
        for places in _alike(images):
            found = self._detector.score(_stack([images[place] for place in places])).images.tolist()
            for place, score in zip(places, found, strict=True):
                scores[place] = float(score)
        return scores


class AnomalyModel(Scoring, PythonModel):  # type: ignore[misc]
    """What MLflow loads."""


def _alike(images: "list[Tensor]") -> list[list[int]]:
    """Return the places of images in batches of one size: eight cost hardly more than one."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        sizes.setdefault(tuple(image.shape), []).append(place)
    return [places[at : at + _BATCH] for places in sizes.values() for at in range(0, len(places), _BATCH)]


def _stack(images: "list[Tensor]") -> "Tensor":
    import torch

    return torch.stack(images)


def _images(model_input: Any) -> "list[Tensor]":
    import numpy as np

    if hasattr(model_input, "columns"):  # a pandas frame
        if len(model_input.columns) != 1:
            raise ValueError(f"expected one column of images, not {len(model_input.columns)}; {_ADVICE}")
        model_input = model_input.iloc[:, 0].tolist()
    elif isinstance(model_input, str | bytes | Path) or (
        isinstance(model_input, np.ndarray) and model_input.ndim == 3
    ):
        model_input = [model_input]
    elif hasattr(model_input, "tolist") and not isinstance(model_input, np.ndarray):
        model_input = model_input.tolist()
    return [_tensor(item, place) for place, item in enumerate(model_input)]


def _is_single(model_input: Any) -> bool:
    import numpy as np

    array = isinstance(model_input, np.ndarray) and model_input.ndim == 3
    return array or isinstance(model_input, str | bytes | Path)


def _tensor(item: Any, place: int) -> "Tensor":
    import numpy as np
    import torch

    if isinstance(item, str | bytes | Path):
        array = _decode(item, place)
    else:
        array = np.asarray(item)
        in_range = array.dtype.kind in "ui" and array.size and 0 <= array.min() <= array.max() <= 255
        if array.ndim != 3 or array.shape[2] != 3 or not in_range:
            raise ValueError(f"image {place}: {array.dtype} array of shape {array.shape}; {_ADVICE}")
    return torch.from_numpy(array.astype(np.uint8).copy()).permute(2, 0, 1)


def _decode(item: str | bytes | Path, place: int) -> Any:
    import numpy as np
    from PIL import Image, ImageOps

    try:
        source = io.BytesIO(item) if isinstance(item, bytes) else _open(item)
        with Image.open(source) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        shown = f"{len(item)} bytes" if isinstance(item, bytes) else str(item)[:80]
        raise ValueError(f"image {place}: cannot read '{shown}' as an image ({error}); {_ADVICE}") from error


def _open(item: str | Path) -> Any:
    text = str(item)
    if len(text) < 4096 and Path(text).is_file():
        return Path(text)
    try:
        return io.BytesIO(base64.b64decode(text.rpartition("base64,")[2], validate=True))
    except binascii.Error as error:
        raise ValueError("there is no such file, nor is it base64") from error


mlflow.models.set_model(AnomalyModel())
