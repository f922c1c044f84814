"""Score pictures with a model and paint what is anomalous; only this and its like load torch."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ad_detectors import checkpoint, cpus
from ad_detectors.api import Detector
from ad_detectors.data import decoding
from ad_detectors.device import Device, choose
from ad_detectors.errors import BadPicture
from ad_platform.client import Client
from ad_platform.errors import InvalidData
from ad_platform.models import Model
from ad_platform.results import selected_on
from ad_platform.specs import Json
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.predicting import thresholds
from ad_workers.predicting.output import Output, Prediction
from ad_workers.predicting.thresholds import Threshold
from ad_workers.predicting.wording import in_our_words

BATCH = 8  # as in an evaluation; a detector pads to a micro-batch of its own


def load(
    client: Client,
    model: Model,
    pictures: Sequence[Path],
    output: Output | None,
    *,
    device: str,
    rate: float | None,
    by_hand: float | None,
) -> "Run":
    """Choose device and threshold, and load the model; what is wrong is raised before anything is written."""
    cache = BundleCache(client.storage, client.settings.home / "cache" / "models")
    threshold = thresholds.choose(client, model, cache, rate=rate, by_hand=by_hand)
    with in_our_words():
        chosen = choose(device)
    folder = model.folder or cache.fetch(model.bundle, model.manifest_sha256)
    threads = _threads(client, model, chosen)
    with in_our_words():
        detector = checkpoint.load_model(folder, chosen.device)
    return Run(pictures, model, detector, chosen, threshold, output, threads)


class Run:
    """A loaded model and the pictures it is to score, once."""

    def __init__(
        self,
        pictures: Sequence[Path],
        model: Model,
        detector: Detector,
        device: Device,
        threshold: Threshold,
        output: Output | None,
        threads: int,
    ) -> None:
        self.pictures, self.model, self.device, self.output = pictures, model, device, output
        self.threshold = threshold
        self._detector, self._threads = detector, threads
        self._known_maps = False  # whether it is known how scores and maps belong together

    @property
    def words(self) -> str:
        """Say which model scores, where, and from which score on a picture is anomalous."""
        reason = self.device.reason.partition(";")[0]
        job = f" of job {self.model.job.id}" if self.model.job else ""
        return f"{self.model.words}{job}, on {self.device.device} ({reason}): {self.threshold.words}"

    @property
    def selected_on(self) -> str:
        """Return which images the model's settings were chosen by."""
        if self.model.job is not None:
            return selected_on(self.model.job)
        return checkpoint.selected_on(self.model.folder) if self.model.folder else "unknown"

    @property
    def warnings(self) -> list[str]:
        """Say what a person would not expect."""
        found = []
        if self._detector.batch is not None:
            found.append(
                "a score of this model depends on the images scored beside it, as published (compat)"
            )
        if self.selected_on.startswith("test"):
            found.append("this model's settings were chosen by test images, so its measures flatter")
        return found

    def predict(self) -> Generator[Prediction, None, None]:
        """Score picture by picture, in order; one that cannot be read gives a prediction without a score.

        With an output, what was written is removed again if something goes wrong, and kept, with a table of
        what was scored, if nobody wants any more.
        """
        made: list[Prediction] = []
        try:
            for each in self._all():
                made.append(each)
                yield each
            self._finish(made)
        except (GeneratorExit, KeyboardInterrupt):
            self._finish(made)
            raise
        except BaseException:
            if self.output is not None:
                self.output.undo()
            raise

    def to_json(self) -> dict[str, Json]:
        """Return which model scores, where, and its threshold."""
        model, champion = self.model, self.model.champion
        return {
            "model": model.name,
            "alias": model.alias,
            "revision": champion.revision if champion else None,
            "version": champion.published if champion else None,
            "job": model.job.id if model.job else None,
            "selected_on": self.selected_on,
            "folder": str(model.folder) if model.folder else None,
            "device": str(self.device.device),
            "device_reason": self.device.reason,
            "threshold": self._threshold_json(),
            "threshold_source": self.threshold.source,
        }

    @property
    def colours(self) -> str:
        """Say what the colours of the heat maps mean; known once a picture was scored."""
        point = self.threshold.point
        if point is not None and point.map_threshold is not None:
            return f"yellow to red on them is above {point.map_threshold:.6g}"
        return (
            "there is no threshold on the map, so each is coloured by its own highest value: "
            "nothing is red, and two of them cannot be compared"
        )

    def _threshold_json(self) -> Json:
        point = self.threshold.point
        if point is None:
            return None
        flat: dict[str, Json] = {**point.to_json()}
        return {**flat, "rate": None} if self.threshold.by_hand else flat

    def _finish(self, made: Sequence[Prediction]) -> None:
        if self.output is not None:
            point = self.threshold.point
            self.output.finish(made, point.threshold if point else None)

    def _all(self) -> Iterator[Prediction]:
        size, batch = int(self._detector.config.image_size), self._detector.batch or BATCH
        with _with_threads(self._threads), ThreadPoolExecutor(min(batch, cpus.usable())) as pool:
            for start in range(0, len(self.pictures), batch):
                chunk = self.pictures[start : start + batch]
                read = list(pool.map(_reader(size), chunk))
                yield from self._batch(chunk, read)

    def _batch(
        self, files: Sequence[Path], read: Sequence["NDArray[np.uint8] | BadPicture"]
    ) -> Iterator[Prediction]:
        """Score those of a batch that could be read."""
        pixels = [torch.from_numpy(each) for each in read if not isinstance(each, BadPicture)]
        with in_our_words():
            scores = self._detector.score(torch.stack(pixels)) if pixels else None
        values = iter(scores.images.float().cpu().tolist() if scores else [])
        maps = scores.maps.float().cpu().numpy() if scores and scores.maps is not None else None
        if scores is not None and maps is not None and not self._known_maps:
            same = bool((scores.images.float().cpu().numpy() == maps.max(axis=(1, 2))).all())
            self.threshold, self._known_maps = thresholds.on_the_map(self.threshold, same), True
        place = 0
        for file, each in zip(files, read, strict=True):
            if isinstance(each, BadPicture):
                yield Prediction(path=file, error=str(each))
                continue
            yield self._prediction(file, next(values), maps[place] if maps is not None else None)
            place += 1

    def _prediction(self, file: Path, score: float, anomaly_map: "NDArray[np.float32] | None") -> Prediction:
        if not np.isfinite(score) or (anomaly_map is not None and not np.isfinite(anomaly_map).all()):
            return Prediction(
                path=file, error=f"the score or the map of {file} is not finite; fit the model anew"
            )
        point, painted = self.threshold.point, None
        if self.output is not None and anomaly_map is not None:
            anchor = point.map_threshold if point else None
            try:
                painted = self.output.paint(
                    file, anomaly_map, float(anomaly_map.max()) if anchor is None else anchor
                )
            except InvalidData as error:  # it was there a moment ago
                return Prediction(path=file, error=str(error))
        return Prediction(
            path=file,
            score=score,
            anomalous=None if point is None else score > point.threshold,
            overlay=painted,
        )


@contextmanager
def _with_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _reader(size: int) -> "Callable[[Path], NDArray[np.uint8] | BadPicture]":
    def read(file: Path) -> "NDArray[np.uint8] | BadPicture":
        try:
            return decoding.picture(file, size)
        except BadPicture as error:
            return error

    return read


def _threads(client: Client, model: Model, device: Device) -> int:
    """Return as many threads as the evaluation had: another number gives other last digits."""
    usable = cpus.usable()
    if model.operating_job is None or device.device.type != "cpu":
        return usable
    attempts = client.attempts(model.operating_job)
    known = attempts[-1].facts.get("threads") if attempts else None
    return known if isinstance(known, int) and 0 < known <= usable else usable
