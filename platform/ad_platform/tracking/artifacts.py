"""The files a run shows once its job has ended: settings, curves, log, and the job's own bundle."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.records import Job
from ad_platform.results import result_of
from ad_platform.states import JobKind, JobState
from ad_platform.storage.contract import Storage
from ad_platform.storage.logs import read_log
from ad_platform.storage.metrics import Point


def collect(job: Job, points: Sequence[Point], storage: Storage, folder: Path) -> list[str]:
    """Write config.json, curves.csv, log.txt and the bundle into a folder; return what was broken."""
    (folder / "config.json").write_text(json.dumps(job.spec.to_json(), indent=2, sort_keys=True) + "\n")
    if points:
        _write_curves(points, folder / "curves.csv")
    text = _log_text(job, storage)
    if text:
        (folder / "log.txt").write_bytes(text)
    bundle = result_of(job).bundle
    if bundle is None or job.state is not JobState.SUCCEEDED:
        return []
    return _fetch(bundle, storage, folder / ("model" if job.kind is JobKind.TRAIN else "results"))


def _write_curves(points: Sequence[Point], path: Path) -> None:
    """One row per committed step: step, time in seconds since the epoch, and every metric."""
    names = sorted({name for point in points for name in point.metrics})
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["step", "time", *names])
        for point in points:
            table.writerow([point.step, point.time, *(point.metrics.get(name, "") for name in names)])


def _fetch(bundle: str, storage: Storage, place: Path) -> list[str]:
    try:
        manifest = storage.fetch(bundle, place)
    except CorruptBundle as error:
        return [str(error)]
    listed = {name: {"sha256": manifest.files[name], "size": manifest.sizes[name]} for name in manifest.files}
    (place / "manifest.json").write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n")
    return []


def _log_text(job: Job, storage: Storage) -> bytes:
    parts = [(number, read_log(storage, job.id, number)) for number in range(1, job.attempt + 1)]
    return b"".join(
        f"--- attempt {number} ---\n".encode() + part.content for number, part in parts if part.content
    )
