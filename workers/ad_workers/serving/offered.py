"""Which model is served: its files on this machine and how it is used, found through the store."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ad_detectors.usage import places
from ad_platform import models
from ad_platform.client import Client
from ad_platform.models import Model
from ad_platform.specs import Json
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.predicting import thresholds
from ad_workers.predicting.wording import in_our_words

DEFAULT_CACHE = ("cache", "models")


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A model that is ready to be loaded."""

    folder: str
    name: str  # as a person calls it: NAME@ALIAS, or a folder
    revision: int  # of the decision; 0 of what no decision stands behind
    job: str
    detector: str
    image_size: int
    threads: int | None  # that its evaluation computed with
    threshold: float | None
    map_threshold: float | None
    words: str  # what is called anomalous, and by what right

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return asdict(self)


def identity(client: Client, text: str) -> tuple[Json, ...]:
    """Return what changes when another model, or another threshold, is meant by a text."""
    model = models.find(client, _bundle_in(text))
    return (
        model.name,
        model.champion.revision if model.champion else 0,
        model.job.id if model.job else None,
        model.operating_job.id if model.operating_job else None,
    )


def find(client: Client, text: str) -> Offered:
    """Return the model that a text names, with its files here; raises what `models.find` raises."""
    model = models.find(client, _bundle_in(text))
    cache = BundleCache(client.storage, client.settings.home.joinpath(*DEFAULT_CACHE))
    threshold = thresholds.choose(client, model, cache, rate=None, by_hand=None)
    folder = model.folder or cache.fetch(model.bundle, model.manifest_sha256)
    with in_our_words():
        place = places.find(folder)
    point, champion = threshold.point, model.champion
    return Offered(
        folder=str(place.folder.resolve()),
        name=f"{model.name}@{model.alias}" if champion else str(model.folder or model.name),
        revision=champion.revision if champion else 0,
        job=model.job.id if model.job else "",
        detector=place.detector,
        image_size=place.image_size,
        threads=place.threads or _threads(client, model),
        threshold=point.threshold if point else None,
        map_threshold=point.map_threshold if point else None,
        words=threshold.words,
    )


def write(offered: Offered, path: Path) -> None:
    """Say what is served from now on; readers see the old or the new."""
    begun = path.with_name(f".{path.name}.begun")
    begun.write_text(json.dumps(offered.to_json()), encoding="utf-8")
    begun.replace(path)


class Current:
    """What is served, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offered: Offered | None = None

    def __call__(self) -> Offered:
        """Return what is served now."""
        found = os.stat(self._path)  # noqa: PTH116 - a request must not wait for more than this
        mark = (found.st_mtime_ns, found.st_ino)
        if self._offered is None or mark != self._seen:
            flat: Mapping[str, Json] = json.loads(self._path.read_text(encoding="utf-8"))
            self._offered, self._seen = Offered(**flat), mark  # type: ignore[arg-type]
        return self._offered


def _bundle_in(text: str) -> str:
    """Return the bundle of a registered model's folder; any other text as it is."""
    bundle = Path(text).expanduser() / places.IN_PYFUNC
    return str(bundle.resolve()) if (bundle / places.CONFIG).is_file() else text


def _threads(client: Client, model: Model) -> int | None:
    if model.operating_job is None:
        return None
    attempts = client.attempts(model.operating_job)
    known = attempts[-1].facts if attempts else {}
    threads = known.get("threads")
    on_cpu = str(known.get("device", "cpu")).startswith("cpu")
    return threads if on_cpu and isinstance(threads, int) and threads > 0 else None
