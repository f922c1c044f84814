"""Compares the clock of this machine with those of the store, the broker, MLflow and the storage."""

import os
import time
from collections.abc import Callable, Iterator

from ad_platform.doctor.findings import Finding, Level
from ad_platform.doctor.ground import Ground
from ad_platform.doctor.places import on_network_disk
from ad_platform.errors import AdctlError, Unavailable
from ad_platform.stack.places import Places
from ad_platform.stack.services import embeds_broker
from ad_platform.storage.leftovers import local_root

ABOUT = "clock"
APART = 1.0  # seconds between two clocks that are odd
PART_OF_LEASE = 1 / 3  # and, as a part of a lease, that let healthy attempts be taken for dead


def clocks(ground: Ground) -> Iterator[Finding]:
    """Say how far each clock is from this machine's, in milliseconds."""
    for who, ask, to_within in _others(ground):
        before = time.time()
        try:
            there = ask()
        except (AdctlError, OSError):  # who is away is told of elsewhere
            continue
        if there is not None:
            after = time.time()
            # What a server answers holds for some moment between the question and the answer.
            unsure = (after - before) / 2 + to_within
            yield compared(there, (before + after) / 2, who, ground.settings.lease, unsure)


def compared(there: float, here: float, who: str, lease: float, unsure: float = 0.0) -> Finding:
    """Judge how far another clock is from this machine's, known to within `unsure` seconds."""
    skew = here - there
    away = max(0.0, abs(skew) - unsure)
    if away <= APART:
        return Finding(
            level=Level.OK,
            about=ABOUT,
            kind="clock",
            subject=who,
            words=f"this machine and {who} agree to {1000 * abs(skew):.0f} ms",
        )
    grave = away > PART_OF_LEASE * lease
    side = "ahead of" if skew > 0 else "behind"
    so = "so deadlines of attempts are wrong" if grave else "so ages and curves look wrong"
    return Finding(
        level=Level.PROBLEM if grave else Level.WARNING,
        about=ABOUT,
        kind="clock",
        subject=who,
        words=f"this machine is {1000 * abs(skew):,.0f} ms {side} {who}, {so}",
        remedy="set both by NTP",
    )


def _others(ground: Ground) -> Iterator[tuple[str, Callable[[], float | None], float]]:
    settings, store = ground.settings, ground.store
    if store is not None:
        yield "the store", store.now, 0.0
    if not embeds_broker(settings) or Places(settings).broker.exists():
        yield "the broker", (lambda: _broker_time(settings.broker_url)), 0.0
    if settings.tracking_uri.startswith(("http://", "https://")):
        yield "MLflow", (lambda: _mlflow_time(settings.tracking_uri)), 0.5
    root = local_root(settings.storage_url)
    # A folder on a disk of this machine has this machine's clock.
    if root is None or (root.is_dir() and on_network_disk(root)):
        yield "the storage", (lambda: _storage_time(settings.storage_url)), 0.0


def _broker_time(url: str) -> float:
    from ad_platform.queue.leftovers import broker_time

    return broker_time(url)


def _mlflow_time(uri: str) -> float | None:
    from ad_platform.doctor.web import greet

    greeting = greet(uri, os.environ)
    if greeting is None:
        raise Unavailable(f"{uri} does not say what time it is")
    return greeting.date


def _storage_time(url: str) -> float | None:
    from ad_platform.storage.leftovers import storage_time

    return storage_time(url)
