"""Stages: content-addressed parts of a fit, published once and fetched by whoever needs the same."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.specs import Json
from ad_platform.storage.contract import Manifest, Storage, unguarded
from ad_platform.storage.layout import stage_prefix


def publish_stage(
    storage: Storage,
    key: str,
    folder: Path,
    meta: Mapping[str, Json] | None = None,
    guard: Callable[[], None] = unguarded,
) -> Manifest:
    """Store a stage under its key and return its manifest; one that is there already stands."""
    return stored_stage(storage, key) or storage.publish(stage_prefix(key), folder, meta, guard)


def fetch_stage(
    storage: Storage, key: str, folder: Path, told: Callable[[str], object] = lambda line: None
) -> Manifest | None:
    """Copy a stage into a local folder, verified, or return None if there is none.

    A broken stage is removed and counts as absent: its key says how to make it again. `told` hears which, and
    what is wrong with it.
    """
    try:
        if storage.manifest(stage_prefix(key)) is None:
            return None
        return storage.fetch(stage_prefix(key), folder)
    except CorruptBundle as error:
        told(str(error))
        storage.remove(stage_prefix(key))
        return None


def stored_stage(storage: Storage, key: str) -> Manifest | None:
    """Return the manifest of a stage, or None if there is none that can be read."""
    try:
        return storage.manifest(stage_prefix(key))
    except CorruptBundle:
        return None
