"""Tells the store which categories lie under this node's data root."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import open_category
from ad_detectors.errors import DataError
from ad_platform.errors import AdctlError, StoreDown
from ad_platform.records import Holding
from ad_platform.settings import Settings
from ad_platform.store.contract import Store

log = logging.getLogger(__name__)

PAUSE = 10.0  # seconds before a store that was away is told again


def advertise(store: Store, settings: Settings, stop: threading.Event) -> None:
    """Look through <data root>/<dataset>/<category> and record each; the first time reads every file."""
    for folder in _categories(settings.data_root):
        try:
            category = open_category(folder)
            mark = fingerprint(folder, settings.home / "cache" / "fingerprints.json")
            holding = Holding(
                node=settings.node,
                fingerprint=mark,
                dataset=category.dataset,
                category=category.category,
                path=str(folder),
            )
            _tell(store, holding, stop)
        except (DataError, AdctlError) as error:
            log.warning("%s is not offered: %s", folder, error)


def _tell(store: Store, holding: Holding, stop: threading.Event) -> None:
    """Record what lies here, as often as it takes: jobs that need it would wait until the next start."""
    while not stop.is_set():
        try:
            store.workers.hold([holding])
        except StoreDown as error:
            log.warning("%s is offered later: %s", holding.path, error)
            stop.wait(PAUSE)
        else:
            return


def _categories(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        return
    for dataset in sorted(child for child in root.iterdir() if child.is_dir()):
        yield from sorted(child for child in dataset.iterdir() if (child / "train").is_dir())
