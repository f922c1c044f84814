"""Which checkpoint a job can go on from, and which ones it no longer needs."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.records import CheckpointRecord
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.layout import CheckpointName, checkpoints_prefix

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
    prefixes = {entry if isinstance(entry, str) else entry.prefix for entry in candidates}
    broken: list[str] = []
    for prefix in newest_first(prefixes):
        try:
            manifest = storage.fetch(prefix, folder / prefix.rsplit("/", 1)[1])
            _check_record(manifest, recorded.get(prefix))
        except CorruptBundle as error:
            broken.append(str(error))
            continue
        return Resumable(manifest=manifest, broken=tuple(broken))
    return None


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


def _check_record(manifest: Manifest, expected: str | None) -> None:
    if expected is not None and manifest.sha256 != expected:
        raise CorruptBundle(f"{manifest.prefix} is broken: its manifest is not the one the store recorded")
