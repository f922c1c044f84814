"""The curve of a job: the points that its newest whole checkpoint names, so that none is there twice."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from ad_platform.errors import CorruptBundle
from ad_platform.records import CheckpointRecord
from ad_platform.states import CollectedState
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.layout import curve_path
from ad_platform.storage.metrics import Point, Segment, read_segment, segments, segments_from
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
        return _read(storage, segments(manifest), max(after, 0), record.step, problems)
    kept = _kept(storage, job_id)
    if kept is not None:  # the checkpoints were collected, and are not missed
        return _read(storage, kept[1], max(after, 0), kept[0], [])
    return Curve(problems=tuple(problems))


def keep_curve(store: Store, storage: Storage, job_id: str) -> None:
    """Write down the segments that the newest checkpoint of an ended job names, so that it may go.

    A curve that is kept already stands; one that cannot be read is left. Raises StorageDown.
    """
    if storage.read(curve_path(job_id)) is not None:
        return
    for record in store.artifacts.checkpoints(job_id):
        try:
            found = segments(_manifest(storage, record))
        except CorruptBundle:
            continue
        value = {"step": record.step, "segments": [segment.to_json() for segment in found]}
        storage.write(curve_path(job_id), json.dumps(value, indent=1).encode())
        return


def was_collected(store: Store, storage: Storage, job_id: str) -> bool:
    """Say whether a job's checkpoints are missed because a collection took them: no harm was done."""
    if storage.read(curve_path(job_id)) is not None:
        return True
    mark = store.retention.marks().get(f"jobs/{job_id}")
    return mark is not None and mark.state is not CollectedState.RESTORED


def _kept(storage: Storage, job_id: str) -> tuple[int, list[Segment]] | None:
    """Return the last step and the segments of a curve that was kept."""
    content = storage.read(curve_path(job_id))
    if content is None:
        return None
    try:
        value = json.loads(content)
        return int(value["step"]), segments_from(value["segments"])
    except (ValueError, KeyError, TypeError):
        return None


def _manifest(storage: Storage, record: CheckpointRecord) -> Manifest:
    manifest = storage.manifest(record.prefix)
    if manifest is None:
        raise CorruptBundle(f"{record.prefix} has no manifest")
    if manifest.sha256 != record.manifest_sha256:
        raise CorruptBundle(f"{record.prefix} is not the checkpoint that was committed")
    return manifest


def _read(storage: Storage, found: Iterable[Segment], after: int, last: int, problems: list[str]) -> Curve:
    points: list[Point] = []
    whole = last
    for segment in found:
        if segment.last <= after:
            continue
        try:
            points += read_segment(storage, segment)
        except CorruptBundle as error:
            problems.append(str(error))
            whole = min(whole, max(segment.first - 1, after))
    kept = tuple(point for point in points if after < point.step <= last)
    return Curve(points=kept, last=last, whole=whole, problems=tuple(problems))
