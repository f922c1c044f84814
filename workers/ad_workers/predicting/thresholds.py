"""From which score on a picture counts as anomalous, and where that threshold comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ad_detectors.evaluation import OperatingPoint, operating_file
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest
from ad_platform.models import Model
from ad_platform.records import Job
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.predicting.wording import in_our_words


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A threshold on the score, if there is one, and on the map, and where they come from."""

    point: OperatingPoint | None
    source: str  # in words; why there is none, where there is none
    by_hand: bool = False

    @property
    def words(self) -> str:
        """Say what is called anomalous and by what right."""
        if self.point is None:
            return f"no threshold, since {self.source}"
        return f"anomalous above {self.point.threshold:.6g} ({self.source})"

    def to_json(self) -> Json:
        """Return the threshold and what is known of it; null where there is none."""
        if self.point is None:
            return None
        flat: dict[str, Json] = {**self.point.to_json()}
        return {**flat, "rate": None} if self.by_hand else flat


def choose(
    client: Client, model: Model, cache: BundleCache, *, rate: float | None, by_hand: float | None
) -> Threshold:
    """Return the calibrated threshold of a model, the one for another rate of false alarms, or one by hand.

    Raises InvalidValue for a rate that the calibration images do not certify, and InvalidRequest where there
    are none.
    """
    if rate is not None:
        return _at_rate(model, cache, rate)
    usual = _usual(model)
    if by_hand is None:
        return usual
    map_threshold = usual.point.map_threshold if usual.point else None
    point = OperatingPoint(by_hand, map_threshold, rate=1.0, normals=0, certified=False)
    return Threshold(point=point, source="as given by --threshold", by_hand=True)


def _usual(model: Model) -> Threshold:
    """Return the threshold that the newest evaluation on a model's own category fixed."""
    if model.folder is not None:
        return _in_folder(model)
    job, evaluation = model.job, model.operating_job
    assert job is not None  # there is a folder otherwise
    if evaluation is None:
        return Threshold(point=None, source=_not_evaluated(job))
    flat = evaluation.result.get("operating_point")
    if not isinstance(flat, Mapping):
        return Threshold(point=None, source=_not_calibrated(job, evaluation))
    with in_our_words():
        point = OperatingPoint.from_json(flat)
    return Threshold(point=point, source=_by_calibration(point, f", evaluation {evaluation.id}"))


def _at_rate(model: Model, cache: BundleCache, rate: float) -> Threshold:
    folder, named = model.folder, ""
    if folder is None:
        evaluation = model.operating_job
        bundle = result_of(evaluation).bundle if evaluation else None
        assert model.job is not None
        if evaluation is None or bundle is None:
            raise InvalidRequest(f"--rate needs calibration scores, but {_not_evaluated(model.job)}")
        if evaluation.result.get("operating_point") is None:
            raise InvalidRequest(
                f"--rate needs calibration scores, but {_not_calibrated(model.job, evaluation)}"
            )
        folder = cache.fetch(bundle, result_of(evaluation).manifest_sha256)
        named = f", evaluation {evaluation.id}"
    elif not (folder / operating_file.NAME).is_file():
        raise InvalidRequest(f"--rate needs calibration scores, but {_nothing_beside(model)}")
    with in_our_words():
        point = operating_file.at_rate(folder, rate)
    return Threshold(point=point, source=_by_calibration(point, named))


def _in_folder(model: Model) -> Threshold:
    assert model.folder is not None
    if not (model.folder / operating_file.NAME).is_file():
        return Threshold(point=None, source=_nothing_beside(model))
    with in_our_words():
        point = operating_file.load(model.folder)
    if point is None:
        return Threshold(point=None, source="nothing was held out to calibrate on")
    return Threshold(point=point, source=_by_calibration(point, f", {operating_file.NAME}"))


def _by_calibration(point: OperatingPoint, named: str) -> str:
    images = f"{point.normals} calibration image{'s' * (point.normals != 1)}{named}"
    if not point.certified:
        return f"by {images}; its scores depend on each other, so that no rate is certified"
    return f"at most {100 * point.rate:.3g} % false alarms, by {images}"


def _not_evaluated(job: Job) -> str:
    return f"job {job.id} was not evaluated on its own category: adctl submit evaluate {job.id}"


def _not_calibrated(job: Job, evaluation: Job) -> str:
    if "operating_point" in evaluation.result:
        return f"nothing was held out to calibrate on (evaluation {evaluation.id})"
    return f"evaluation {evaluation.id} is by an older version: adctl submit evaluate {job.id}"


def _nothing_beside(model: Model) -> str:
    return (
        f"{model.folder} has no {operating_file.NAME}: python -m ad_detectors evaluate {model.folder} "
        f"--data DIR --out {model.folder}"
    )


def on_the_map(threshold: Threshold, same: bool) -> Threshold:
    """Return a threshold set by hand with its like on the map, where a score is its map's highest value."""
    if threshold.point is None or not threshold.by_hand or not same:
        return threshold
    return replace(threshold, point=replace(threshold.point, map_threshold=threshold.point.threshold))


def threads(client: Client, model: Model) -> int | None:
    """Return how many threads a model's evaluation had on a CPU: another number gives other last digits."""
    attempts = client.attempts(model.operating_job) if model.operating_job is not None else []
    known = attempts[-1].facts.get("threads") if attempts else None
    return known if isinstance(known, int) and known > 0 else None
