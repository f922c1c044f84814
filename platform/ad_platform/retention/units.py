"""What a survey of the storage is made of: bundles, logs, curves, and what nobody finished."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.bundles import MANIFEST
from ad_platform.storage.folder import TEMPORARY

TRASH = "trash"


class UnitKind(StrEnum):
    """What something in the storage is."""

    CHECKPOINT = "checkpoint"
    METRICS = "metrics"  # the segments of a job, together
    CURVE = "curve"  # which of them its last checkpoint named
    MODEL = "model"
    RESULTS = "results"
    PART = "part"  # rows of a prediction
    DRAWN = "drawn"  # heat maps of the same pictures
    LOG = "log"  # all chunks of a job
    STAGE = "stage"
    LISTING = "listing"
    PICTURES = "pictures"  # the list of a pushed set
    PICTURE = "picture"  # one file of such sets
    BENCHMARK = "benchmark"  # its tables at one version
    UNFINISHED = "unfinished"  # files of a bundle that no manifest names
    TEMPORARY = "temporary"  # a file that was being written
    OTHER = "other"  # nothing that adctl knows


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Files that are needed together, or not at all."""

    kind: UnitKind
    prefix: str  # where they lie; of a single file its path
    place: str  # whose they are: "jobs/<id>", "stages/<key>", ...
    files: tuple[StoredFile, ...]

    @property
    def job_id(self) -> str | None:
        """Return the job that left it, if a job did."""
        head, _, name = self.place.partition("/")
        return name if head == "jobs" else None

    @property
    def manifest(self) -> str | None:
        """Return the path of its manifest, if it is a bundle."""
        path = f"{self.prefix}/{MANIFEST}"
        return path if any(file.path == path for file in self.files) else None

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(file.size for file in self.files)

    @property
    def modified(self) -> float:
        """Return when the newest of its files was written."""
        return max(file.modified for file in self.files)

    @property
    def ordered(self) -> list[str]:
        """Return the paths of its files, its manifest last: the order in which it comes to be."""
        last = self.manifest
        paths = [file.path for file in self.files if file.path != last]
        return paths if last is None else [*paths, last]


_OF_JOB = {
    "checkpoints": UnitKind.CHECKPOINT,
    "model": UnitKind.MODEL,
    "results": UnitKind.RESULTS,
    "parts": UnitKind.PART,
    "drawn": UnitKind.DRAWN,
}
_BUNDLE = re.compile(
    r"(?P<prefix>(?:(?P<job>jobs/[^/]+)/(?P<what>checkpoints|model|results|parts|drawn)/[^/]+)"
    r"|(?P<stage>stages/[^/]+)|(?P<benchmark>benchmarks/[^/]+)/v\d+)/(?P<rest>.+)"
)
_LOOSE = (
    (UnitKind.METRICS, re.compile(r"(?P<prefix>(?P<place>jobs/[^/]+)/metrics)/[^/]+\.jsonl")),
    (UnitKind.LOG, re.compile(r"(?P<prefix>(?P<place>jobs/[^/]+)/logs)/.+\.txt")),
    (UnitKind.CURVE, re.compile(r"(?P<prefix>(?P<place>jobs/[^/]+)/curve\.json)")),
    (UnitKind.PICTURES, re.compile(r"(?P<prefix>(?P<place>data/sets/[0-9a-f]{64})\.json)")),
    (UnitKind.PICTURE, re.compile(r"(?P<prefix>(?P<place>data/blobs)/[0-9a-f]{2}/[0-9a-f]{64})")),
    (UnitKind.LISTING, re.compile(r"(?P<prefix>(?P<place>listings/[0-9a-f]+)\.jsonl)")),
)
_JOB = re.compile(r"jobs/[^/]+(?=/)")
_VERSION = re.compile(r"v-[0-9a-f]+")


def units_of(files: Iterable[StoredFile]) -> list[Unit]:
    """Return what a survey found, by prefix; what lies in the trash is left out."""
    bundles: dict[str, list[StoredFile]] = defaultdict(list)
    loose: dict[tuple[UnitKind, str, str], list[StoredFile]] = defaultdict(list)
    for file in files:
        if file.path.rsplit("/", 1)[-1].startswith(TEMPORARY):
            loose[UnitKind.TEMPORARY, file.path, _owner(file.path)].append(file)
        elif file.path.startswith(f"{TRASH}/"):
            continue
        elif match := _BUNDLE.fullmatch(file.path):
            bundles[match["prefix"]].append(file)
        else:
            loose[_loose(file.path)].append(file)
    found = [unit for prefix, inside in bundles.items() for unit in _bundle(prefix, inside)]
    found += [
        Unit(kind=kind, prefix=prefix, place=place, files=tuple(inside))
        for (kind, prefix, place), inside in loose.items()
    ]
    return sorted(found, key=lambda unit: unit.prefix)


def versions(unit: Unit) -> set[str]:
    """Return the folders of publications that lie in a bundle: more than one where a writer died."""
    return {_version(unit.prefix, file.path) for file in unit.files} - {""}


def split(unit: Unit, version: str) -> tuple[Unit, Unit]:
    """Return a bundle with nothing but what its manifest names, and what a dead writer left in it."""
    stale = [file for file in unit.files if _version(unit.prefix, file.path) not in ("", version)]
    whole = tuple(file for file in unit.files if file not in stale)
    return (
        Unit(kind=unit.kind, prefix=unit.prefix, place=unit.place, files=whole),
        Unit(kind=UnitKind.UNFINISHED, prefix=unit.prefix, place=unit.place, files=tuple(stale)),
    )


def _bundle(prefix: str, files: list[StoredFile]) -> Iterator[Unit]:
    match = _BUNDLE.fullmatch(files[0].path)
    assert match is not None
    if match["stage"]:
        kind, place = UnitKind.STAGE, prefix
    elif match["benchmark"]:
        kind, place = UnitKind.BENCHMARK, match["benchmark"]
    else:
        kind, place = _OF_JOB[match["what"]], match["job"]
    whole = any(file.path == f"{prefix}/{MANIFEST}" for file in files)
    yield Unit(kind=kind if whole else UnitKind.UNFINISHED, prefix=prefix, place=place, files=tuple(files))


def _loose(path: str) -> tuple[UnitKind, str, str]:
    for kind, pattern in _LOOSE:
        if match := pattern.fullmatch(path):
            return kind, match["prefix"], match["place"]
    return UnitKind.OTHER, path, _owner(path)


def _owner(path: str) -> str:
    match = _JOB.match(path)
    return match[0] if match else path


def _version(prefix: str, path: str) -> str:
    first = path[len(prefix) + 1 :].split("/", 1)[0]
    return first if _VERSION.fullmatch(first) else ""
