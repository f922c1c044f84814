"""Score the pictures of a listing with a fitted detector, shard by shard, behind those that are there."""

import os
import time
from functools import partial
from pathlib import Path

from ad_detectors import checkpoint as states
from ad_detectors.dividing import scores_in_parts
from ad_detectors.evaluation import OperatingPoint
from ad_platform.errors import CorruptBundle, InvalidData, InvalidRequest, StorageDown
from ad_platform.records import PASSED_OVER
from ad_platform.roots import Roots
from ad_platform.specs import PictureAsk
from ad_platform.states import Directive
from ad_platform.storage.layout import results_prefix
from ad_platform.storage.listings import read_listing
from ad_platform.storage.parts import Use, drop_broken, end_of, in_a_row, whole_parts
from ad_workers.desk import CODES, Desk, Stop
from ad_workers.dividing import divide
from ad_workers.fetching import fetch
from ad_workers.images import OUTSIDE
from ad_workers.messages import Done, Note, Report
from ad_workers.predicting.deciding import Decider, Threshold
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.places import Makes
from ad_workers.predicting.scorer import Scorer
from ad_workers.predicting.shards import Shards, write_tables
from ad_workers.publishing import publish
from ad_workers.starting import start

TALK = 0.1  # seconds between two reports to the supervisor


def run(desk: Desk) -> Done:
    """Score what no attempt before has scored, and publish the table of all."""
    began = time.monotonic()
    ask = desk.spec.pictures
    if ask is None:
        raise InvalidRequest("this prediction does not say which pictures it scores; submit it again")
    beginning = start(desk)
    _drop_broken(desk)
    pictures = _pictures(desk, beginning.at)
    detector = states.load_model(desk.fetch_source("predict with"), beginning.device.device)
    divide(desk, detector, can=scores_in_parts(detector))
    decider = Decider(Scorer(detector, beginning.threads), _threshold(ask))
    scored = _score(desk, ask, decider, pictures)
    uses = _uses(desk)
    if end_of(uses) != ask.count:
        raise CorruptBundle(f"after picture {end_of(uses)} of {ask.count} a part is missing; retry the job")
    desk.say(Report(step=ask.count, of=ask.count, message="gathering", images=scored))
    made = desk.scratch / "made"
    made.mkdir()
    counts = write_tables(desk.storage, uses, made, decider.cut)
    return publish(
        desk,
        results_prefix(desk.assignment.job_id, desk.assignment.attempt),
        partial(_move, made),
        {
            "images": ask.count,
            "seconds": round(time.monotonic() - began, 3),  # of this attempt alone
            "metrics": {**counts},
        },
    )


def _score(desk: Desk, ask: PictureAsk, decider: Decider, pictures: list[Picture]) -> int:
    """Score the pictures that have no row yet; return how many these were. Raises Stop when told to stop."""
    makes = Makes(overlays=ask.overlays, masks=ask.masks, maps=ask.maps)
    first = end_of(_uses(desk))
    shards = Shards(desk, pictures, makes, first=first, most=ask.shard)
    talk = 0.0
    for batch in decider.predictions(pictures[first:], shards.draw if makes.any else None):
        if any(each.error for each in batch):
            _reachable(desk)
        shards.add(batch)
        now = time.monotonic()
        if now >= talk or shards.place == ask.count:
            talk = now + TALK
            done = shards.place - first
            desk.say(Report(step=shards.place, of=ask.count, message="scoring images", images=done))
        order = desk.listen()
        if order is Directive.DRAIN or (order is None and shards.due):
            shards.publish()
        if order is not None:
            raise Stop(CODES[order])
    shards.publish()
    return shards.place - first


def _drop_broken(desk: Desk) -> None:
    """See that what attempts before have scored is what they published, and name what is not."""
    parts = whole_parts(desk.storage, desk.assignment.lineage)
    desk.guard()
    broken = drop_broken(desk.storage, parts, desk.scratch / "checked")
    if broken:
        desk.say(Note(facts={PASSED_OVER: [*broken]}))
    for line in broken:
        print(f"scores its pictures again: {line}", flush=True)  # noqa: T201 - the attempt's log


def _uses(desk: Desk) -> list[Use]:
    """Return what attempts before have scored, of this job and of those that it retries."""
    return in_a_row(whole_parts(desk.storage, desk.assignment.lineage))


def _pictures(desk: Desk, at: tuple[int, int]) -> list[Picture]:
    """Return the pictures in their order, from their folder or, if they were pushed, from the storage.

    Raises StorageDown where their folder is not there now, InvalidData where it lies outside the roots.
    """
    listing = read_listing(desk.storage, desk.spec.dataset.fingerprint)
    files = [Path(listing.folder, name) for name in listing.names]
    try:
        Roots(desk.assignment.roots).check([Path(desk.spec.dataset.path), *files], OUTSIDE)
        _reachable(desk)
    except (StorageDown, InvalidData):
        if not desk.assignment.pushed:
            raise
        folder = fetch(desk, at, listing=True)
        # Called by where they came from: results are the same wherever they are scored.
        return [Picture(folder / name, str(Path(listing.folder, name))) for name in listing.names]
    return [Picture.at(file) for file in files]


def _reachable(desk: Desk) -> None:
    """Raise StorageDown where the pictures' folder is gone: a share that is away is no broken picture.

    What is mounted on leaves an empty folder behind.
    """
    folder = desk.pictures or Path(desk.spec.dataset.path)
    try:
        with os.scandir(folder) as entries:
            there = next(entries, None) is not None
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise StorageDown(f"cannot read the pictures in {folder} on this node: {words}") from error
    if not there:
        raise StorageDown(f"{folder} is empty on this node: is something mounted there?")


def _threshold(ask: PictureAsk) -> Threshold:
    point = OperatingPoint.from_json(ask.threshold) if ask.threshold is not None else None
    return Threshold(point=point, source=ask.threshold_source, by_hand=ask.by_hand)


def _move(made: Path, folder: Path) -> None:
    for path in made.iterdir():
        path.rename(folder / path.name)
