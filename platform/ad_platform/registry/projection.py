"""Bring the model registry in line with the champions in the store; doing it again changes nothing."""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ad_platform.errors import CorruptBundle
from ad_platform.failpoints import Edge, reach
from ad_platform.records import Champion, Job
from ad_platform.registry.packing import complete
from ad_platform.registry.release import release_of
from ad_platform.results import result_of
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between two looks at what was told before


class ModelRegistry(Protocol):
    """The seam to the registry of models. Every method may be called again and raises TrackingDown."""

    def version_of(self, champion: Champion) -> str | None:
        """Return the version made for this decision, if there is one; of several the one that stays."""

    def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
        """Make a version for this decision from the files of a release, and return it.

        `run_id` is the run that the job was last shipped to, if any was noted. Of several versions made in
        a race one stays, the same for everybody.
        """

    def alias_of(self, champion: Champion) -> str | None:
        """Return the version that the decision's alias points to now, if it is there."""

    def set_alias(self, champion: Champion, version: str) -> None:
        """Point the decision's alias to a version."""

    def tidy(self, champion: Champion, version: str) -> None:
        """Remove what was uploaded for a decision and is not this version's, as far as that can be done."""


class Projection:
    """Tells the registry of each decision at once, and looks now and then whether it still says the same."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        registry: ModelRegistry,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._storage, self._registry = store, storage, registry
        self._monotonic, self._next = monotonic, float("-inf")
        self._tidied: set[tuple[str, str, int]] = set()  # decisions, since this process began

    def __call__(self) -> int:
        """Bring the registry up to date and return in how many decisions it was not; raise TrackingDown."""
        done = project(self._store, self._storage, self._registry)
        if self._monotonic() >= self._next:
            done += reconcile(self._store, self._storage, self._registry)
            self._tidy()
            self._next = self._monotonic() + EVERY
        return done

    def _tidy(self) -> None:
        """Look once whether who died while uploading a model has left something."""
        for champion in self._store.champions.in_force():
            decision = (champion.model, champion.alias, champion.revision)
            if champion.published is not None and decision not in self._tidied:
                self._registry.tidy(champion, champion.published)
                self._tidied.add(decision)


def project(store: Store, storage: Storage, registry: ModelRegistry) -> int:
    """Register what the store decided and the registry was not told of; return how many decisions."""
    return _tell_all(store, storage, registry, store.champions.unpublished())


def reconcile(store: Store, storage: Storage, registry: ModelRegistry) -> int:
    """Have the registry say what the store says of every decision in force; return how many it did not.

    An alias may point elsewhere though its decision was published: somebody moved it there, or a slower
    projection set it for an older decision and died before it looked again. A version may be gone.
    """
    wrong = []
    for champion in store.champions.in_force():
        version = registry.version_of(champion)
        if version is None or version != champion.published or registry.alias_of(champion) != version:
            wrong.append(champion)
    return _tell_all(store, storage, registry, wrong)


def disagreement(registry: ModelRegistry, champion: Champion) -> str:
    """Say what the registry says otherwise than the store of a decision in force, changing nothing.

    Empty where they agree. Raises TrackingDown.
    """
    if champion.published is None:
        return "was not told of it"
    shown = registry.alias_of(champion)
    if shown is None:
        return "has no such alias"
    return "" if shown == champion.published else f"has it on version {shown}, not {champion.published}"


def tell(store: Store, storage: Storage, registry: ModelRegistry, champion: Champion) -> str:
    """Have the registry say what the store says of a decision, and return the version it carries.

    Raises TrackingDown, StorageDown, CorruptBundle.
    """
    _tell(store, storage, registry, champion)
    newest = store.champions.current(champion.model, champion.alias)
    return (newest and newest.published) or ""


def _tell_all(store: Store, storage: Storage, registry: ModelRegistry, champions: Sequence[Champion]) -> int:
    done = 0
    for champion in champions:
        try:
            _tell(store, storage, registry, champion)
        except CorruptBundle as error:  # one that is broken must not keep the others from being shown
            log.error("%s@%s cannot be registered: %s", champion.model, champion.alias, error)
        else:
            done += 1
    return done


def _tell(store: Store, storage: Storage, registry: ModelRegistry, champion: Champion) -> None:
    """Make the version of a decision, point the alias to it, and note it: each step may be the last one."""
    reach(Edge.REGISTER)
    version = registry.version_of(champion) or _register(store, storage, registry, champion)
    reach(Edge.REGISTERED)
    registry.set_alias(champion, version)
    _follow(store, registry, champion)
    registry.tidy(champion, version)
    store.champions.published(champion, version)


def _register(store: Store, storage: Storage, registry: ModelRegistry, champion: Champion) -> str:
    job = store.jobs.get(champion.job_id)
    bundle = result_of(job).bundle
    if bundle is None:
        raise CorruptBundle(f"job {job.id} left no model to register as {champion.model}")
    with tempfile.TemporaryDirectory(prefix="adctl-register-") as folder:
        place = Path(folder) / "bundle"
        storage.fetch(bundle, place)
        complete(release_of(store, champion), place)
        return registry.register(champion, job, place, store.shipments.run_of(job.id))


def _follow(store: Store, registry: ModelRegistry, champion: Champion) -> None:
    """Leave the alias where the newest decision wants it.

    Somebody slower than us may set it for an older decision at any time; but then looks here, after us. If
    the newest decision has no version yet, whoever makes one sets the alias later still.
    """
    newest = store.champions.current(champion.model, champion.alias)
    while newest is not None and newest.revision > champion.revision:
        version = registry.version_of(newest)
        if version is None:
            return
        registry.set_alias(newest, version)
        champion, newest = newest, store.champions.current(champion.model, champion.alias)
