"""Compares what the store records with what lies in the storage, and names what lies there for nobody."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from ad_platform.audited import Standing
from ad_platform.curves import was_collected
from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.errors import Conflict, CorruptBundle, StorageDown
from ad_platform.records import CheckpointRecord, StageRecord
from ad_platform.states import JobState
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import stage_prefix
from ad_platform.storage.leftovers import Unfinished, local_root, unfinished
from ad_platform.store.contract import Store

ABOUT = "storage"
HOUR = 3600.0  # seconds that a file may take to be written
BELOW = ("checkpoints", "model", "results", "parts", "drawn")  # where a job's bundles lie
_ATTEMPT = re.compile(r"(?:.*-)?a(\d+)")
_AT_ONCE = 1000
GoOn: TypeAlias = Callable[[], bool]  # says whether there is time left


def bundles(ground: Ground) -> Iterator[Finding]:
    """Name records of what is not there, what is there without a manifest, and what is of no job."""
    store = ground.store
    if store is None:
        return
    root = local_root(ground.settings.storage_url)
    if root is not None and not root.is_dir():
        return
    go_on = ground.time_left()
    try:
        yield from _records(ground, store, go_on)
        yield from _of_jobs(ground, store, go_on)
        yield from _stage_remains(ground, store)
        if root is not None:
            yield from _temporaries(ground, root, go_on)
    except StorageDown:  # another look says so
        return


def _records(ground: Ground, store: Store, go_on: GoOn) -> Iterator[Finding]:
    told = 0
    for page in ground.newest_jobs():
        for record in store.audit.checkpoints([one.job_id for one in page]):
            if not go_on():
                yield unlooked(ABOUT, "checkpoints of older jobs, since the storage is slow (--deep)")
                return
            finding = _checkpoint(ground.storage, store, record)
            if finding is not None and told < ground.most:
                told += 1
                yield finding
    for stage in store.audit.stages(ground.newest):
        if not go_on():
            yield unlooked(ABOUT, "older stages, since the storage is slow (--deep)")
            return
        if ground.storage.manifest(stage_prefix(stage.key)) is None and told < ground.most:
            told += 1
            yield _stage(store, stage)


def _checkpoint(storage: Storage, store: Store, record: CheckpointRecord) -> Finding | None:
    wrong = _wrong(storage, record)
    # Whoever removes a checkpoint drops its record first: what was removed meanwhile has none any more.
    if not wrong or record not in store.artifacts.checkpoints(record.job_id):
        return None
    if was_collected(store, storage, record.job_id):
        return None
    gone = wrong == "is not in the storage"
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="lost-checkpoint" if gone else "broken-checkpoint",
        subject=record.prefix,
        words=f"{record.prefix} is recorded in the store, and {wrong}",
        remedy="nothing: it is passed over when the job is resumed",
        mending=Mending(
            words="forgets the record",
            do=partial(_forget, store, storage, record),
        )
        if gone
        else None,
    )


def _wrong(storage: Storage, record: CheckpointRecord) -> str:
    try:
        manifest = storage.manifest(record.prefix)
    except CorruptBundle as error:
        return f"cannot be read: {error}"
    if manifest is None:
        return "is not in the storage"
    return "" if manifest.sha256 == record.manifest_sha256 else "is another one there"


def _forget(store: Store, storage: Storage, record: CheckpointRecord) -> str:
    if storage.manifest(record.prefix) is not None:
        return "is there after all"
    if not store.audit.forget_checkpoint(record.job_id, record.prefix):
        return "was forgotten already"
    return "its record was forgotten"


def _stage(store: Store, stage: StageRecord) -> Finding:
    do = partial(store.audit.forget_stage, stage.key, stage.manifest_sha256)
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="lost-stage",
        subject=stage.key,
        words=f"stage {stage.stage} of {stage.detector}, {stage.key[:12]}, is recorded and not stored",
        mending=Mending(
            words="forgets the record; who needs it makes it again",
            do=lambda: "its record was forgotten" if do() else "was forgotten already",
        ),
    )


def _of_jobs(ground: Ground, store: Store, go_on: GoOn) -> Iterator[Finding]:
    """Look through the folders of jobs: those of no job, and bundles that were never finished."""
    told = 0
    found = [prefix.rsplit("/", 1)[1] for prefix in ground.storage.folders("jobs")]
    known: dict[str, Standing] = {}
    for start in range(0, min(len(found), ground.oldest), _AT_ONCE):
        known |= store.audit.standings(found[start : start + _AT_ONCE])
    strangers = [job for job in found[: ground.oldest] if job not in known]
    if strangers:
        yield _strangers(strangers)
    if len(found) > ground.oldest:
        yield unlooked(ABOUT, f"{len(found) - ground.oldest} folders of jobs (--deep)")
    ordered = sorted(known.values(), key=lambda one: -one.seq)[: ground.newest]
    for number, job in enumerate(ordered):
        if not go_on():
            left = len(ordered) - number
            yield unlooked(ABOUT, f"the folders of {left} older jobs, since the storage is slow (--deep)")
            return
        for prefix in _remains(ground.storage, job):
            if told < ground.most:
                told += 1
                yield _unfinished_bundle(ground.storage, store, job, prefix)
    if len(known) > len(ordered):
        yield unlooked(ABOUT, f"the folders of {len(known) - len(ordered)} older jobs (--deep)")


def _strangers(ids: Sequence[str]) -> Finding:
    named = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="files-of-no-job",
        subject="jobs",
        words=f"files of jobs that the store does not know lie in the storage: {named}",
        remedy="look whether another store uses this storage, else: adctl gc",
    )


def _remains(storage: Storage, job: Standing) -> list[str]:
    """Return what lies below a job without a manifest and is written by nobody now."""
    found = [prefix for kind in BELOW for prefix in storage.remains(f"jobs/{job.job_id}/{kind}")]
    return [prefix for prefix in found if not _being_written(job, prefix)]


def _being_written(job: Standing, prefix: str) -> bool:
    """Say whether somebody may be writing a bundle: the attempt that holds the job, and it alone."""
    if job.state is not JobState.RUNNING:
        return not job.state.terminal and _attempt_of(prefix) is None
    attempt = _attempt_of(prefix)
    return attempt is None or attempt >= job.attempt


def _attempt_of(prefix: str) -> int | None:
    match = _ATTEMPT.fullmatch(prefix.rsplit("/", 1)[1])
    return None if match is None else int(match[1])


def _unfinished_bundle(storage: Storage, store: Store, job: Standing, prefix: str) -> Finding:
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="no-manifest",
        subject=prefix,
        words=f"{prefix} has no manifest: whoever wrote it died, and nobody will use it",
        mending=Mending(words="removes it", do=partial(_remove, storage, store, job.job_id, prefix)),
    )


def _remove(storage: Storage, store: Store, job_id: str, prefix: str) -> str:
    job: Mapping[str, Standing] = store.audit.standings([job_id])
    if job_id in job and _being_written(job[job_id], prefix):
        raise Conflict(f"job {job_id} runs again and may be writing it")
    if storage.manifest(prefix) is not None:
        return "was finished meanwhile"
    storage.remove(prefix)
    return "was removed"


def _stage_remains(ground: Ground, store: Store) -> Iterator[Finding]:
    if store.jobs.count()[JobState.RUNNING]:
        return  # one of them may be writing its stage
    found = ground.storage.remains("stages")
    for prefix in found[: ground.most]:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="no-manifest",
            subject=prefix,
            words=f"{prefix} has no manifest, and no job runs that could be writing it",
            remedy="adctl gc",
        )


def _temporaries(ground: Ground, root: Path, go_on: GoOn) -> Iterator[Finding]:
    try:
        for told, one in enumerate(unfinished(root, HOUR, time.time(), go_on)):
            if told >= ground.most:
                return
            yield _temporary(one, root)
    except TimeoutError:
        yield unlooked(ABOUT, "temporary files in folders not reached in time (--deep)")


def _temporary(one: Unfinished, root: Path) -> Finding:
    name = one.path.relative_to(root)
    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="temporary-file",
        subject=str(name),
        words=f"{name} was begun {one.age / HOUR:.0f} h ago and never finished ({one.size:,} bytes)",
        mending=Mending(words="removes it", do=partial(_unlink, one.path)),
    )


def _unlink(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "was removed"
