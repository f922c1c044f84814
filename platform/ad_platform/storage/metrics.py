"""Metric segments: what was measured step by step, committed by the checkpoint that names them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.specs import Json
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.layout import segment_path


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was measured at one step."""

    step: int
    time: float  # seconds since the epoch, when it was measured
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A file of points that lies in the storage."""

    path: str
    sha256: str
    first: int
    last: int

    def to_json(self) -> dict[str, Json]:
        """Return what a checkpoint's manifest carries of this segment."""
        return {"path": self.path, "sha256": self.sha256, "first": self.first, "last": self.last}


def write_segment(storage: Storage, job_id: str, attempt: int, points: Sequence[Point]) -> Segment:
    """Write points, in order of their steps, as one file; raise InvalidValue if there are none."""
    if not points:
        raise InvalidValue(f"a metric segment of job {job_id} needs at least one point")
    lines = [json.dumps({"step": p.step, "time": p.time, "metrics": dict(p.metrics)}) + "\n" for p in points]
    first, last = points[0].step, points[-1].step
    path = segment_path(job_id, first, last, attempt)
    return Segment(path=path, sha256=storage.write(path, "".join(lines).encode()), first=first, last=last)


def segments(manifest: Manifest) -> list[Segment]:
    """Return the segments that a checkpoint's manifest commits, in order."""
    try:
        return segments_from(manifest.meta.get("segments", []))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptBundle(f"{manifest.prefix} lists segments that cannot be read ({error})") from error


def segments_from(listed: Json) -> list[Segment]:
    """Return segments by what `to_json` gave, in order; raise KeyError, TypeError or ValueError."""
    found = [
        Segment(
            path=str(entry["path"]),  # type: ignore[index,call-overload]
            sha256=str(entry["sha256"]),  # type: ignore[index,call-overload]
            first=int(entry["first"]),  # type: ignore[index,call-overload,arg-type]
            last=int(entry["last"]),  # type: ignore[index,call-overload,arg-type]
        )
        for entry in listed  # type: ignore[union-attr]
    ]
    return sorted(found, key=lambda segment: segment.first)


def read_segment(storage: Storage, segment: Segment) -> list[Point]:
    """Return the points of one segment; raise CorruptBundle naming the file if it is not what was written."""
    content = storage.read(segment.path)
    if content is None:
        raise CorruptBundle(f"{segment.path} is missing")
    if hashlib.sha256(content).hexdigest() != segment.sha256:
        raise CorruptBundle(f"{segment.path} has changed since it was written")
    try:
        return [
            Point(step=int(value["step"]), time=float(value["time"]), metrics=dict(value["metrics"]))
            for value in map(json.loads, content.splitlines())
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptBundle(f"{segment.path} holds no points ({error})") from error


def read_segments(storage: Storage, manifest: Manifest, after: int = 0) -> list[Point]:
    """Return the points beyond step `after` that a checkpoint commits, in order; raise CorruptBundle."""
    return [
        point
        for segment in segments(manifest)
        if segment.last > after
        for point in read_segment(storage, segment)
        if point.step > after
    ]
