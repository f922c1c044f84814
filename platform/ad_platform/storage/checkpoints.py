"""Which checkpoint a job can go on from, and which ones it no longer needs."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.records import CheckpointRecord
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.layout import CheckpointName, checkpoints_prefix
from ad_platform.storage.metrics import read_segments

KEEP = 2  # the newest, and the one before it in case the newest is found broken


@dataclass(frozen=True, kw_only=True)
class Resumable:
    """A whole checkpoint, and the newer ones that turned out broken."""

    manifest: Manifest
    broken: tuple[str, ...] = ()  # one line each: which, and what is wrong with it

    @property
    def prefix(self) -> str:
        """Return the checkpoint's folder in the storage."""
        return self.manifest.prefix


@dataclass(frozen=True, kw_only=True)
class Search:
    """What came of looking for a whole checkpoint."""

    manifest: Manifest | None = None
    broken: tuple[str, ...] = ()  # one line for each that was passed over: which, and what is wrong with it


def stored_checkpoints(storage: Storage, job_id: str) -> list[str]:
    """Return the complete checkpoints of a job, the highest step first, then the newest attempt."""
    return newest_first(storage.bundles(checkpoints_prefix(job_id)))


def newest_first(prefixes: Iterable[str]) -> list[str]:
    """Sort checkpoints by step, then attempt, the highest first."""
    names = [CheckpointName.parse(prefix) for prefix in prefixes]
    return [name.prefix for name in sorted(names, key=lambda name: (name.step, name.attempt), reverse=True)]


def fetch_latest(
    storage: Storage, candidates: Sequence[CheckpointRecord | str], folder: Path
) -> Resumable | None:
    """Copy the newest checkpoint that is whole into `folder/<name>`, or return None if none is.

    Candidates are store records or prefixes, in any order; a record also vouches for its manifest. Each
    broken one is named in the answer.
    """
    recorded = {entry.prefix: entry.manifest_sha256 for entry in candidates if not isinstance(entry, str)}
    named = {entry: None for entry in candidates if isinstance(entry, str)}
    found = search(storage, {**named, **recorded}, folder)
    return Resumable(manifest=found.manifest, broken=found.broken) if found.manifest else None


def search(storage: Storage, candidates: Mapping[str, str | None], folder: Path) -> Search:
    """Copy the newest checkpoint that is whole into `folder/<name>`, and name the broken ones before it.

    Candidates are prefixes, each with the SHA-256 of its manifest where the store recorded one. One whose
    state is whole, but not the points it alone commits, is used only where none before it is whole: those
    points can be measured again. Raises StorageDown.
    """
    broken: dict[str, str] = {}
    spare: Manifest | None = None
    ordered = newest_first(candidates)
    for prefix, before in zip_longest(ordered, ordered[1:]):
        try:
            manifest = storage.fetch(prefix, folder / prefix.rsplit("/", 1)[1])
            _check_record(manifest, candidates[prefix])
            if before is not None and spare is None:
                _check_points(storage, manifest, before)
        except _PointsLost as error:
            broken[prefix], spare = str(error), manifest
            continue
        except CorruptBundle as error:
            broken[prefix] = str(error)
            continue
        return Search(manifest=manifest, broken=tuple(broken.values()))
    if spare is not None:
        del broken[spare.prefix]  # it is used, after all
    return Search(manifest=spare, broken=tuple(broken.values()))


def latest_valid(storage: Storage, candidates: Sequence[CheckpointRecord | str]) -> Resumable | None:
    """Return the newest checkpoint whose every file matches its manifest, or None if there is none."""
    with tempfile.TemporaryDirectory(prefix="adctl-verify-") as folder:
        return fetch_latest(storage, candidates, Path(folder))


def superseded(
    storage: Storage, prefixes: Sequence[str], keep: int = KEEP, trusted: str | None = None
) -> list[str]:
    """Return the checkpoints that may be removed: all but the newest `keep`.

    The newest valid one is never among them. `trusted` names one the caller has just written itself, which
    saves reading it back; without it the kept ones are verified.
    """
    ordered = newest_first(prefixes)
    kept, rest = ordered[:keep], ordered[keep:]
    if not rest or trusted in kept or latest_valid(storage, kept) is not None:
        return rest
    valid = latest_valid(storage, rest)
    return [] if valid is None else [prefix for prefix in rest if prefix != valid.prefix]


def abandoned(prefixes: Iterable[str], attempt: int, resumed_from: str | None) -> list[str]:
    """Return the checkpoints of earlier attempts that this attempt passed over, or had no part in.

    It goes on from `resumed_from`, the newest one that was whole when it began, or from nothing: whatever an
    earlier attempt wrote beyond that is another branch of the job.
    """
    earlier = [prefix for prefix in newest_first(prefixes) if CheckpointName.parse(prefix).attempt < attempt]
    return earlier[: earlier.index(resumed_from)] if resumed_from in earlier else earlier


class _PointsLost(CorruptBundle):
    """The state of a checkpoint is whole, but not the points that no checkpoint before it commits."""


def _check_points(storage: Storage, manifest: Manifest, before: str) -> None:
    try:
        read_segments(storage, manifest, after=CheckpointName.parse(before).step)
    except CorruptBundle as error:
        raise _PointsLost(f"{manifest.prefix} is broken: {error}") from error


def _check_record(manifest: Manifest, expected: str | None) -> None:
    if expected is not None and manifest.sha256 != expected:
        raise CorruptBundle(f"{manifest.prefix} is broken: its manifest is not the one the store recorded")
