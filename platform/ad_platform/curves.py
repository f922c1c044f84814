"""The curve of a job: the points that its newest whole checkpoint names, so that none is there twice."""

from dataclasses import dataclass

from ad_platform.errors import CorruptBundle
from ad_platform.records import CheckpointRecord
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.metrics import Point, read_segment, segments
from ad_platform.store.contract import Store


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The committed points of a job, and what could not be read of them."""

    points: tuple[Point, ...] = ()
    last: int = 0  # the newest committed step
    whole: int = 0  # the last one before the first that could not be read; `last` if all could
    problems: tuple[str, ...] = ()


def committed(store: Store, storage: Storage, job_id: str, after: int = 0) -> Curve:
    """Return the committed points beyond a step: what the newest checkpoint that can be read names."""
    problems: list[str] = []
    for record in store.artifacts.checkpoints(job_id):
        try:
            manifest = _manifest(storage, record)
        except CorruptBundle as error:
            problems.append(str(error))
            continue
        return _read(storage, manifest, max(after, 0), record.step, problems)
    return Curve(problems=tuple(problems))


def _manifest(storage: Storage, record: CheckpointRecord) -> Manifest:
    manifest = storage.manifest(record.prefix)
    if manifest is None:
        raise CorruptBundle(f"{record.prefix} has no manifest")
    if manifest.sha256 != record.manifest_sha256:
        raise CorruptBundle(f"{record.prefix} is not the checkpoint that was committed")
    return manifest


def _read(storage: Storage, manifest: Manifest, after: int, last: int, problems: list[str]) -> Curve:
    points: list[Point] = []
    whole = last
    for segment in segments(manifest):
        if segment.last <= after:
            continue
        try:
            points += read_segment(storage, segment)
        except CorruptBundle as error:
            problems.append(str(error))
            whole = min(whole, max(segment.first - 1, after))
    kept = tuple(point for point in points if after < point.step <= last)
    return Curve(points=kept, last=last, whole=whole, problems=tuple(problems))
