"""The shipper's process: one per node, until whoever started it dies or says stop."""

import argparse
import logging
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ad_platform import settings as environment
from ad_platform import structured_logs
from ad_platform.errors import AdctlError, TrackingDown, Unavailable
from ad_platform.lifeline import Stop, leave_requests_to_the_holder
from ad_platform.settings import Settings
from ad_platform.tracking.reachable import knock

if TYPE_CHECKING:
    from ad_platform.store.contract import Store
    from ad_platform.tracking.shipper import Shipper

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between two rounds
LONGEST_PAUSE = 30.0  # while something cannot be reached
WAIT_FOR_LOCK = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the shipper and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ad_platform.tracking", description=__doc__)
    parser.add_argument("--lifeline", type=int, help="file descriptor of a pipe; its end ends the shipper")
    given = parser.parse_args(arguments)
    structured_logs.configure("%(asctime)s shipper %(levelname)s %(message)s", level=logging.INFO)
    structured_logs.always(program="shipper")
    stop = Stop()
    if given.lifeline is None:
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    else:
        leave_requests_to_the_holder()
        stop.at_end_of(given.lifeline)
    try:
        settings = environment.load()
        settings.home.mkdir(parents=True, exist_ok=True)
        run(settings, stop)
    except AdctlError as error:
        log.error("%s", error)
        return 1
    return 0


def run(settings: Settings, stop: Stop) -> None:
    """Ship until told to stop; another shipper on this node keeps this one waiting."""
    lock = FileLock(settings.home / "shipper.lock")
    if not _take(lock, stop):
        return
    try:
        pause = PAUSE
        round_: Callable[[], int] | None = None
        while True:
            ending = stop.asked  # a last round shows what was finished a moment ago
            try:
                if round_ is None:
                    if not _await_answer(settings, stop):
                        return  # whoever ships next shows what is left
                    round_ = open_shipper(settings).once
                round_()
                pause = PAUSE
            except Unavailable as error:
                log.warning("%s", error)
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:  # the outermost edge: whatever it was, the next round may do better
                log.exception("a round failed")
                round_, pause = None, min(pause * 2, LONGEST_PAUSE)
            if ending:
                return
            stop.wait(pause)
    finally:
        lock.release()


def _await_answer(settings: Settings, stop: Stop) -> bool:
    """Wait until MLflow's address answers at all; False if the end was asked for before it did.

    MLflow takes seconds to load, and its own client tries each call again and again.
    """
    told = False
    while True:
        try:
            knock(settings.tracking_uri)
        except TrackingDown as error:
            if not told:
                log.warning("shipping waits: %s; looking again until it does", error)
            told = True
            if stop.wait(PAUSE):
                return False
        else:
            return True


def _take(lock: FileLock, stop: Stop) -> bool:
    while True:
        try:
            lock.acquire(timeout=WAIT_FOR_LOCK)
        except Timeout:
            if stop.asked:
                return False
        else:
            return True  # even if the end was asked for by now: there is a last round to make


def open_shipper(settings: Settings, store: "Store | None" = None) -> "Shipper":
    """Open everything, but the store where it is given, and return what ships; heavy imports are here."""
    from ad_platform.job_report import page_of
    from ad_platform.registry.projection import Projection
    from ad_platform.storage.engine import open_storage
    from ad_platform.store.engine import open_store
    from ad_platform.tracking.benchmarks import BenchmarkRuns
    from ad_platform.tracking.mlflow import open_tracker, prepare
    from ad_platform.tracking.models import MlflowModels
    from ad_platform.tracking.shipper import Shipper
    from ad_platform.tracking.studies import StudyRuns

    store = open_store(settings.database_url) if store is None else store
    storage = open_storage(settings.storage_url)
    prepare(settings)
    tracker = open_tracker(settings)
    champions = Projection(store, storage, MlflowModels(tracker))
    studies, benchmarks = StudyRuns(store, tracker), BenchmarkRuns(store, storage, tracker)
    owner = f"{settings.node}-{os.getpid()}"
    return Shipper(
        store,
        storage,
        tracker,
        owner,
        [champions, studies, benchmarks],
        lambda job: studies.parent_of(job) or benchmarks.parent_of(job),
        partial(page_of, store, storage),
    )
