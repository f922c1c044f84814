"""A fitted model that scores whatever pictures it is given, the same in every program that uses it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors import checkpoint, cpus, device
from ad_detectors.api import Detector
from ad_detectors.determinism import using_threads
from ad_detectors.errors import DataError, NotFinite
from ad_detectors.usage import pictures, places, registered
from ad_detectors.usage.places import Place
from ad_detectors.usage.result import Result

BATCH = 8  # as in an evaluation; a detector pads to a micro-batch of its own
_ONE_AT_A_TIME = threading.Lock()  # the number of threads is one for the whole process


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model; `predict` may be called by several threads."""

    detector: Detector
    place: Place
    device: torch.device
    threads: int  # that it computes with on a CPU
    threshold: float | None  # an image is anomalous above it
    map_threshold: float | None

    @property
    def image_size(self) -> int:
        """Return the pixels of either side that pictures are squeezed to, and that maps have."""
        return self.place.image_size

    @overload
    def predict(self, given: pictures.Picture) -> Result: ...  # type: ignore[overload-overlap] # a text is a path
    @overload
    def predict(self, given: Sequence[pictures.Picture]) -> list[Result]: ...
    def predict(self, given: pictures.Picture | Sequence[pictures.Picture]) -> Result | list[Result]:
        """Score a picture, or several: paths, contents of files, pictures by Pillow, or arrays.

        The result of a picture does not depend on those beside it. An array of four dimensions is several
        pictures; see `usage.pictures.pixels` for all that one may be. Raises BadPicture (a DataError) naming
        the first that gives no pixels, before any is scored; NotFinite if a score is no number.
        """
        if pictures.is_one(given):
            return self.score(pictures.pixels(given, self.image_size)[None])[0]  # type: ignore[arg-type]
        every = [
            pictures.pixels(each, self.image_size, None if isinstance(each, str | Path) else f"{number}")
            for number, each in enumerate(given)  # type: ignore[arg-type]
        ]
        return self.score(np.stack(every)) if every else []

    def score(self, pixels: NDArray[np.uint8]) -> list[Result]:  # (N, 3, size, size)
        """Score pictures that are decoded and at the model's size already."""
        batch = self.detector.batch or BATCH
        found: list[Result] = []
        with _ONE_AT_A_TIME, using_threads(self.threads):
            for start in range(0, len(pixels), batch):
                found += self._scored(pixels[start : start + batch], start)
        return found

    def _scored(self, chunk: NDArray[np.uint8], start: int) -> list[Result]:
        scores = self.detector.score(torch.from_numpy(chunk))
        values = scores.images.float().cpu().numpy()
        maps = None if scores.maps is None else scores.maps.float().cpu().numpy()
        for number in range(len(chunk)):
            if not np.isfinite(values[number]) or (maps is not None and not np.isfinite(maps[number]).all()):
                raise NotFinite(
                    f"the score or map of picture {start + number} is not finite; fit the model anew"
                )
        return [
            Result(
                score=float(values[number]),
                threshold=self.threshold,
                map_threshold=self.map_threshold,
                map=None if maps is None else maps[number].copy(),
                picture=np.ascontiguousarray(chunk[number].transpose(1, 2, 0)),
            )
            for number in range(len(chunk))
        ]


def load(
    source: str | Path, *, on: str = "auto", threads: int | None = None, threshold: float | None = None
) -> Model:
    """Load a fitted model, ready to score.

    `source` is a folder (a model that `fit` wrote, or a registered one as it was downloaded) or an address
    such as models:/NAME@ALIAS, for which MLflow must be installed. `on` is a device: auto, cpu, cuda, mps or
    an index. `threads` says how many compute on a CPU: by default as many as the model was evaluated with,
    which gives the same bits. `threshold` on the score replaces the calibrated one. Raises DataError for
    what is not there, StateError for what is no model, DeviceError, WeightsNotFound.
    """
    if not isinstance(source, str | Path) or not str(source).strip():
        raise DataError("name a model: a folder, or models:/NAME@ALIAS")
    text = str(source)
    folder = registered.downloaded(text) if registered.is_address(text) else Path(text).expanduser()
    place = places.find(folder)
    chosen = device.choose(on).device
    point = place.operating
    usable = cpus.usable()
    return Model(
        detector=checkpoint.load_model(place.folder, chosen),
        place=place,
        device=chosen,
        threads=threads or (place.threads if place.threads and place.threads <= usable else usable),
        threshold=threshold if threshold is not None else point.threshold if point else None,
        map_threshold=point.map_threshold if point else None,
    )
