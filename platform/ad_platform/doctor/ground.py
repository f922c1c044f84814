"""What the comparing looks stand on: the settings, the store opened once, and how much is looked at."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from ad_platform.audited import Standing
from ad_platform.doctor.findings import Finding, ok
from ad_platform.errors import AdctlError
from ad_platform.settings import Settings
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

if TYPE_CHECKING:
    from ad_platform.tracking.shipper import Shipper

MOST = 100  # findings of one kind in one look
NEWEST = 1000  # jobs that are compared with MLflow and the storage
OLDEST = 50_000  # jobs of one state whose records are compared with each other
SHARE = 15.0  # seconds that one look may go on listing files
PAGE = 1000  # jobs in one question
ALL = 2**31 - 1


@dataclass(eq=False)
class Ground:
    """One call of the doctor; `deep` looks at everything, however long it takes."""

    settings: Settings
    deep: bool = False
    advance: Callable[[str], bool] | None = None  # takes a sweep further, as a worker would
    pause: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    most: int = MOST
    _lock: Lock = field(default_factory=Lock)

    @property
    def store(self) -> Store | None:
        """Return the store, or None where it cannot be opened: another look says why."""
        with self._lock:
            return self._store

    @cached_property
    def _store(self) -> Store | None:
        if self.settings.embedded and not (self.settings.home / "store.db").exists():
            return None
        from ad_platform.store.engine import open_store

        with suppress(AdctlError):
            return open_store(self.settings.database_url)
        return None

    @cached_property
    def storage(self) -> Storage:
        """Return the storage."""
        from ad_platform.storage.engine import open_storage

        return open_storage(self.settings.storage_url)

    @cached_property
    def shipper(self) -> "Shipper":
        """Return what tells MLflow of jobs from here; raise MissingExtra or TrackingDown."""
        from ad_platform.tracking.main import open_shipper

        return open_shipper(self.settings, self.store)

    @property
    def newest(self) -> int:
        """Return how many of the newest jobs are compared with what lies elsewhere."""
        return ALL if self.deep else NEWEST

    @property
    def oldest(self) -> int:
        """Return how many of the oldest jobs of a state are compared with their own records."""
        return ALL if self.deep else OLDEST

    def newest_jobs(self) -> Iterator[list[Standing]]:
        """Yield the newest jobs in pages, newest first, as many as are compared."""
        store, left, before = self.store, self.newest, None
        while store is not None and left > 0:
            page = store.audit.newest(min(left, PAGE), before)
            if not page:
                return
            yield page
            left, before = left - len(page), page[-1].seq

    def time_left(self) -> Callable[[], bool]:
        """Return what says whether a look that lists files may go on."""
        end = math.inf if self.deep else self.monotonic() + SHARE
        return lambda: self.monotonic() < end

    @property
    def owner(self) -> str:
        """Return the name under which claims are taken."""
        return f"doctor-{self.settings.node}-{os.getpid()}"

    def close(self) -> None:
        """Close the store, if it was opened."""
        if (store := self.__dict__.get("_store")) is not None:
            store.close()


def unlooked(about: str, words: str) -> Finding:
    """Return what says that something was left out."""
    return ok(about, f"not looked at: {words}")
