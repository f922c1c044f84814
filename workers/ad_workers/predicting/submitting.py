"""A prediction as a job: its pictures are listed here and read by the worker; only a rate needs torch."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform import models, predictions, sourced_threshold
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest
from ad_platform.models import Model
from ad_platform.pictures.pushing import Pusher
from ad_platform.predictions import PredictRequest
from ad_platform.requests import Scheduling, Submitted
from ad_platform.sourced_threshold import SourcedThreshold
from ad_platform.specs import PictureAsk
from ad_platform.storage.listings import Listing
from ad_workers.predicting.asking import Asked, Place, check, pictures_of
from ad_workers.predicting.pictures import STDIN
from ad_workers.predicting.places import common_folder, no_masks


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How a prediction is to be run as a job."""

    shard: int | None = None  # pictures that are published together; None lets the cost decide
    shared: bool = False  # the pictures lie under the same path on every node
    push: bool = False  # they are sent to the storage, where any worker can fetch them
    scheduling: Scheduling = field(default_factory=Scheduling)


def submit(client: Client, asked: Asked, sent: Sent, place: Place) -> Submitted:
    """List what is asked for and submit it; raise InvalidRequest, or InvalidData for what is not there."""
    check(asked)
    if STDIN in asked.images:
        raise InvalidRequest("`-` is scored at once; a job scores files: leave --submit out")
    listing = listed(pictures_paths(asked, place), "" if sent.shared else client.settings.node)
    model = models.find(client, asked.model)
    found = _threshold(client, model, asked)
    if asked.makes.masks and found.point is None:
        raise InvalidRequest(no_masks(found.source))
    ask = PictureAsk(
        count=len(listing.names),
        threshold=found.point,
        threshold_source=found.source,
        by_hand=asked.threshold is not None,
        overlays=asked.makes.overlays,
        masks=asked.makes.masks,
        maps=asked.makes.maps,
        shard=sent.shard,
    )
    if sent.push:
        listing, _ = Pusher(client.store, client.storage, client.settings).listing(listing)
    return predictions.submit(
        client,
        PredictRequest(
            model=model, listing=listing, ask=ask, device=asked.device, scheduling=sent.scheduling
        ),
    )


def pictures_paths(asked: Asked, place: Place) -> list[Path]:
    """Return the absolute paths of the pictures that are asked for."""
    return [Path(os.path.abspath(each.file)) for each in pictures_of(asked, place)]  # noqa: PTH100 - keep links


def listed(files: list[Path], node: str) -> Listing:
    """Return files as a listing below the deepest folder that holds them all."""
    folder = common_folder(files)
    names = [file.relative_to(folder).as_posix() for file in files]
    return Listing(folder=str(folder), names=names, node=node)


def _threshold(client: Client, model: Model, asked: Asked) -> SourcedThreshold:
    if model.folder is not None:
        raise InvalidRequest(
            f"{model.folder} is a folder, which no worker knows; name NAME@ALIAS or a train job to submit"
        )
    if asked.rate is not None:
        from ad_workers.predicting.thresholds import at_rate

        return at_rate(client, model, asked.rate)
    usual = sourced_threshold.of_model(model)
    return usual if asked.threshold is None else sourced_threshold.by_hand(asked.threshold, usual)
