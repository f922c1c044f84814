"""Bring the model registry in line with the champions in the store; doing it again changes nothing."""

import tempfile
from pathlib import Path
from typing import Protocol

from ad_platform.errors import CorruptBundle
from ad_platform.records import Champion, Job
from ad_platform.registry.packing import complete
from ad_platform.registry.release import release_of
from ad_platform.results import result_of
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store


class ModelRegistry(Protocol):
    """The seam to the registry of models. Every method may be called again and raises TrackingDown."""

    def version_of(self, champion: Champion) -> str | None:
        """Return the version made for this decision, if there is one."""

    def register(self, champion: Champion, job: Job, bundle: Path) -> str:
        """Make a version for this decision from the files of a release, and return it.

        Of several made in a race one stays, the same for everybody.
        """

    def set_alias(self, champion: Champion, version: str) -> None:
        """Point the decision's alias to a version."""


def project(store: Store, storage: Storage, registry: ModelRegistry) -> int:
    """Register what the store decided and the registry was not told of; return how many decisions."""
    champions = store.champions.unpublished()
    for champion in champions:
        version = registry.version_of(champion) or _register(store, storage, registry, champion)
        registry.set_alias(champion, version)
        _follow(store, registry, champion)
        store.champions.published(champion, version)
    return len(champions)


def _register(store: Store, storage: Storage, registry: ModelRegistry, champion: Champion) -> str:
    job = store.jobs.get(champion.job_id)
    bundle = result_of(job).bundle
    if bundle is None:
        raise CorruptBundle(f"job {job.id} left no model to register as {champion.model}")
    with tempfile.TemporaryDirectory(prefix="adctl-register-") as folder:
        place = Path(folder) / "bundle"
        storage.fetch(bundle, place)
        complete(release_of(store, champion), place)
        return registry.register(champion, job, place)


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
