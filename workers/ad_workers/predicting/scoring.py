"""Score pictures with a model and draw what is anomalous; only this and its like load torch."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_detectors import checkpoint, cpus, heap
from ad_detectors.device import Device, choose
from ad_platform.client import Client
from ad_platform.models import Model
from ad_platform.predictions import threads
from ad_platform.results import selected_on
from ad_platform.specs import Json
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.predicting import thresholds
from ad_workers.predicting.deciding import Decider
from ad_workers.predicting.output import Output
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.rows import Prediction
from ad_workers.predicting.scorer import Scorer
from ad_workers.predicting.wording import in_our_words


@dataclass
class Loaded(Decider):
    """A model that is ready to score here, and what is said of it."""

    model: Model
    device: Device

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
        if self.scorer.detector.batch is not None:
            found.append(
                "a score of this model depends on the images scored beside it, as published (compat)"
            )
        if self.selected_on.startswith("test"):
            found.append("this model's settings were chosen by test images, so its measures flatter")
        return found

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
            "threshold": self.threshold.to_json(),
            "threshold_source": self.threshold.source,
        }


def load(client: Client, model: Model, *, device: str, rate: float | None, by_hand: float | None) -> Loaded:
    """Choose device and threshold, and load the model; what is wrong is raised before anything is written."""
    cache = BundleCache(client.storage, client.settings.home / "cache" / "models")
    threshold = thresholds.choose(client, model, cache, rate=rate, by_hand=by_hand)
    with in_our_words():
        chosen = choose(device)
    folder: Path = model.folder or cache.fetch(model.bundle, model.manifest_sha256)
    heap.keep_freed()
    usable = cpus.usable()
    known = threads(client, model) if chosen.device.type == "cpu" else None
    with in_our_words():
        detector = checkpoint.load_model(folder, chosen.device)
    scorer = Scorer(detector, known if known and known <= usable else usable)
    return Loaded(scorer=scorer, threshold=threshold, model=model, device=chosen)


class Run:
    """The pictures that a loaded model is to score, once, and the folder for what is made of them."""

    def __init__(self, pictures: Sequence[Picture], loaded: Loaded, output: Output | None) -> None:
        self.pictures, self.loaded, self.output = pictures, loaded, output

    def predict(self) -> Generator[Prediction, None, None]:
        """Score picture by picture, in order; one that cannot be read gives a prediction without a score.

        With an output, what was written is removed again if something goes wrong, and kept, with a table of
        what was scored, if nobody wants any more.
        """
        made: list[Prediction] = []
        draw = self.output.draw if self.output is not None and self.output.makes.any else None
        try:
            for batch in self.loaded.predictions(self.pictures, draw):
                for each in batch:
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

    def _finish(self, made: Sequence[Prediction]) -> None:
        if self.output is not None:
            self.output.finish(made, self.loaded.cut)
