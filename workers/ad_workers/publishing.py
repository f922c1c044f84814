"""The last outside effect of an attempt: its bundle, under a fence, and the result that names it."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ad_platform.specs import Json
from ad_workers.desk import Desk
from ad_workers.messages import Done


def publish(desk: Desk, prefix: str, fill: Callable[[Path], None], result: Mapping[str, Json]) -> Done:
    """Write files into a fresh folder, publish it, and return the result with its place and hash.

    Raises Stop(LOST) before anything is written if the lease is over, DiskFull, StorageDown.
    """
    folder = desk.scratch / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill(folder)
    desk.guard()
    manifest = desk.storage.publish(prefix, folder, {"job": desk.assignment.job_id}, desk.guard)
    desk.guard()
    place: dict[str, Json] = {
        "bundle": prefix,
        "manifest_sha256": manifest.sha256,
        "size": manifest.size,
    }
    return Done(result={**place, **result})
