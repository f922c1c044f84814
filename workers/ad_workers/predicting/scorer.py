"""Scores of pictures, batch by batch, as an evaluation has them: the one place where predictions compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors import cpus, dividing
from ad_detectors.api import Detector
from ad_detectors.data import decoding
from ad_detectors.determinism import using_threads
from ad_detectors.errors import BadPicture
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.wording import in_our_words

BATCH = 8  # as in an evaluation; a detector pads to a micro-batch of its own

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Scored:
    """A picture with its score and map, or with why there is none."""

    picture: Picture
    score: float | None = None
    map: NDArray[np.float32] | None = None  # (H, W)
    error: str = ""


class Scorer:
    """A fitted detector that scores files; the next pictures are decoded while one batch is scored."""

    def __init__(self, detector: Detector, threads: int) -> None:
        self.detector, self._threads = detector, threads
        self.same: bool | None = None  # whether a score is its map's highest value; None: not known yet
        self._size = int(detector.config.image_size)

    @property
    def batch(self) -> int:
        """Return how many pictures are scored together."""
        return self.detector.batch or BATCH

    def batches(self, pictures: Sequence[Picture]) -> Iterator[list[Scored]]:
        """Score pictures in order; one that cannot be read has an error instead.

        Raises Unavailable where memory does not suffice. The process has this scorer's threads meanwhile.
        """
        chunks = [pictures[start : start + self.batch] for start in range(0, len(pictures), self.batch)]
        with using_threads(self._threads), ThreadPoolExecutor(min(self.batch, cpus.usable())) as pool:

            def begun(number: int) -> list[Future[Pixels | BadPicture]]:
                chosen = chunks[number] if number < len(chunks) else ()
                return [pool.submit(self._read, picture) for picture in chosen]

            ahead = begun(0)
            try:
                for number, chunk in enumerate(chunks):
                    read = [each.result() for each in ahead]
                    ahead = begun(number + 1)
                    yield self._scored(chunk, read)
            finally:
                for each in ahead:
                    each.cancel()

    def _read(self, picture: Picture) -> Pixels | BadPicture:
        try:
            return decoding.picture(picture.file, self._size)
        except BadPicture as error:
            return error

    def _scored(self, chunk: Sequence[Picture], read: Sequence[Pixels | BadPicture]) -> list[Scored]:
        pixels = [torch.from_numpy(each) for each in read if not isinstance(each, BadPicture)]
        if not pixels:
            return [
                Scored(picture, error=_said(picture, each)) for picture, each in zip(chunk, read, strict=True)
            ]
        with in_our_words():
            scores = dividing.score(self.detector, torch.stack(pixels))
        images = scores.images.float().cpu().numpy()
        maps = scores.maps.float().cpu().numpy() if scores.maps is not None else None
        if maps is not None and self.same is None:
            self.same = bool((images == maps.max(axis=(1, 2))).all())
        found: list[Scored] = []
        place = 0
        for picture, each in zip(chunk, read, strict=True):
            if isinstance(each, BadPicture):
                found.append(Scored(picture, error=_said(picture, each)))
                continue
            found.append(_checked(picture, float(images[place]), maps[place] if maps is not None else None))
            place += 1
        return found


def _said(picture: Picture, error: object) -> str:
    return picture.renamed(str(error))


def _checked(picture: Picture, score: float, anomaly_map: NDArray[np.float32] | None) -> Scored:
    if np.isfinite(score) and (anomaly_map is None or np.isfinite(anomaly_map).all()):
        return Scored(picture, score, anomaly_map)
    return Scored(picture, error=f"the score or the map of {picture.name} is not finite; fit the model anew")
