"""From which score on a picture counts as anomalous, and where that threshold comes from."""

from ad_detectors.evaluation import OperatingPoint, operating_file
from ad_platform import sourced_threshold
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest
from ad_platform.models import Model
from ad_platform.results import result_of
from ad_platform.sourced_threshold import SourcedThreshold, by_calibration
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.predicting.deciding import Threshold
from ad_workers.predicting.wording import in_our_words


def choose(
    client: Client, model: Model, cache: BundleCache, *, rate: float | None, by_hand: float | None
) -> Threshold:
    """Return the calibrated threshold of a model, the one for another rate of false alarms, or one by hand.

    Raises InvalidValue for a rate that the calibration images do not certify, and InvalidRequest where there
    are none.
    """
    if rate is not None:
        return of_json(_at_rate(model, cache, rate))
    usual = sourced_threshold.of_model(model) if model.folder is None else _in_folder(model)
    if by_hand is not None:
        return of_json(sourced_threshold.by_hand(by_hand, usual), by_hand=True)
    # A threshold that labels or a person chose claims no rate, no more than one given by hand.
    return of_json(usual, by_hand=model.operating is not None and not model.operating.bounds_rate)


def of_json(found: SourcedThreshold, *, by_hand: bool = False) -> Threshold:
    """Return a threshold that was told as JSON; raise CorruptBundle for what is none."""
    if found.point is None:
        return Threshold(point=None, source=found.source)
    with in_our_words():
        point = OperatingPoint.from_json(found.point)
    return Threshold(point=point, source=found.source, by_hand=by_hand)


def at_rate(client: Client, model: Model, rate: float) -> SourcedThreshold:
    """Return the threshold of a model for a rate of false alarms; raise as `choose` does."""
    return _at_rate(model, BundleCache(client.storage, client.settings.home / "cache" / "models"), rate)


def _at_rate(model: Model, cache: BundleCache, rate: float) -> SourcedThreshold:
    folder, named = model.folder, ""
    if folder is None:
        evaluation = model.operating_job
        bundle = result_of(evaluation).bundle if evaluation else None
        assert model.job is not None
        if evaluation is None or bundle is None:
            why = sourced_threshold.not_evaluated(model.job)
            raise InvalidRequest(f"--rate needs calibration scores, but {why}")
        if evaluation.result.get("operating_point") is None:
            why = sourced_threshold.not_calibrated(model.job, evaluation)
            raise InvalidRequest(f"--rate needs calibration scores, but {why}")
        folder = cache.fetch(bundle, result_of(evaluation).manifest_sha256)
        named = f", evaluation {evaluation.id}"
    elif not (folder / operating_file.NAME).is_file():
        raise InvalidRequest(f"--rate needs calibration scores, but {_nothing_beside(model)}")
    with in_our_words():
        point = operating_file.at_rate(folder, rate)
    return _told(point, named)


def _in_folder(model: Model) -> SourcedThreshold:
    assert model.folder is not None
    if not (model.folder / operating_file.NAME).is_file():
        return SourcedThreshold(point=None, source=_nothing_beside(model))
    with in_our_words():
        point = operating_file.load(model.folder)
    if point is None:
        return SourcedThreshold(point=None, source="nothing was held out to calibrate on")
    return _told(point, f", {operating_file.NAME}")


def _told(point: OperatingPoint, named: str) -> SourcedThreshold:
    flat = point.to_json()
    return SourcedThreshold(point={**flat}, source=by_calibration({**flat}, named))


def _nothing_beside(model: Model) -> str:
    return (
        f"{model.folder} has no {operating_file.NAME}: python -m ad_detectors evaluate {model.folder} "
        f"--data DIR --out {model.folder}"
    )
