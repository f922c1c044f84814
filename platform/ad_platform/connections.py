"""What a client is connected to: store, queue and storage, each opened when first needed."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Self

from ad_platform.errors import BrokerDown, StoreDown
from ad_platform.queue.doorbell import knock
from ad_platform.queue.protocol import Queue
from ad_platform.queue.relay import relay
from ad_platform.settings import Settings, load
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store


class Connections:
    """Opens the store, the queue and the storage when they are first needed, and keeps the store honest."""

    def __init__(
        self,
        settings: Settings | None = None,
        store: Store | None = None,
        queue: Queue | None = None,
        storage: Storage | None = None,
        *,
        code: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take these settings, or those of the environment."""
        self.settings = load() if settings is None else settings
        self._store, self._queue, self._storage = store, queue, storage
        self._given_code = code
        self._monotonic, self._pause = monotonic, pause
        self._next_tick = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store's connections, if any were opened."""
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def store(self) -> Store:
        """Return the store; raises StoreDown where none was ever made, StoreMismatch for an old one."""
        if self._store is not None:
            return self._store
        if self.settings.embedded and not (self.settings.home / "store.db").exists():
            raise StoreDown(
                f"there is no store in {self.settings.home} yet; start the services with: adctl up"
            )
        from ad_platform.store.engine import open_store

        return open_store(self.settings.database_url)

    @cached_property
    def queue(self) -> Queue:
        """Return the queue; nothing is connected yet."""
        if self._queue is not None:
            return self._queue
        from ad_platform.queue.celery import CeleryQueue

        return CeleryQueue(self.settings.broker_url)

    @cached_property
    def storage(self) -> Storage:
        """Return the storage."""
        if self._storage is not None:
            return self._storage
        from ad_platform.storage.engine import open_storage

        return open_storage(self.settings.storage_url)

    def _tick(self) -> None:
        """Give back what died and make owed rings, at most once a second: readers keep the store honest."""
        if self._monotonic() < self._next_tick:
            return
        self.store.leases.reap()
        if self.store.outbox.owed(limit=1):
            self._ring()
        self._next_tick = self._monotonic() + 1.0

    def ring(self) -> None:
        """Make the rings that are owed, if there are any; a broker that is down is left to others."""
        if self.store.outbox.owed(limit=1):
            self._ring()

    def announce(self) -> None:
        """Have a worker of this machine look at once, if one is there; the others look by themselves soon."""
        with suppress(BrokerDown):
            if self._queue is None:
                knock(self.settings)

    def _ring(self) -> tuple[bool, str]:
        try:
            if self._queue is not None or not knock(self.settings):
                relay(self.store.outbox, self.queue)
        except BrokerDown as error:
            return False, str(error)
        return True, ""
