"""Where everything of a job lies in the storage: the one place that spells paths."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from ad_platform.errors import InvalidValue

_CHECKPOINT = re.compile(r"jobs/([^/]+)/checkpoints/(\d{9,})-a(\d+)")
_STAGE_KEY = re.compile(r"[0-9a-f]{16,128}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
SETS, BLOBS = "data/sets", "data/blobs"


@dataclass(frozen=True, kw_only=True)
class CheckpointName:
    """What the prefix of a checkpoint says."""

    job_id: str
    step: int
    attempt: int

    @property
    def prefix(self) -> str:
        """Return the checkpoint's folder in the storage."""
        return f"{checkpoints_prefix(self.job_id)}/{self.step:09d}-a{self.attempt}"

    @classmethod
    def parse(cls, prefix: str) -> "CheckpointName":
        """Read a checkpoint's prefix; raise InvalidValue if it is none."""
        match = _CHECKPOINT.fullmatch(prefix)
        if match is None:
            raise InvalidValue(f"'{prefix}' is not a checkpoint: jobs/<job>/checkpoints/<step>-a<attempt>")
        return cls(job_id=match[1], step=int(match[2]), attempt=int(match[3]))


def checkpoints_prefix(job_id: str) -> str:
    """Return the folder of all checkpoints of a job."""
    return f"jobs/{job_id}/checkpoints"


def checkpoint_prefix(job_id: str, step: int, attempt: int) -> str:
    """Return the folder of one checkpoint."""
    return CheckpointName(job_id=job_id, step=step, attempt=attempt).prefix


def segment_path(job_id: str, first: int, last: int, attempt: int) -> str:
    """Return the path of the metrics of the steps `first` to `last`."""
    return f"jobs/{job_id}/metrics/{first:09d}-{last:09d}-a{attempt}.jsonl"


def curve_path(job_id: str) -> str:
    """Return the path of what is kept of a job's curve once its checkpoints went."""
    return f"jobs/{job_id}/curve.json"


def model_prefix(job_id: str, attempt: int) -> str:
    """Return the folder of the fitted detector."""
    return f"jobs/{job_id}/model/a{attempt}"


def results_prefix(job_id: str, attempt: int) -> str:
    """Return the folder of an evaluation, or of a whole prediction's table."""
    return f"jobs/{job_id}/results/a{attempt}"


def parts_prefix(job_id: str) -> str:
    """Return the folder of what a prediction has scored so far, shard by shard."""
    return f"jobs/{job_id}/parts"


def part_prefix(job_id: str, first: int, count: int) -> str:
    """Return the folder of the scores of `count` pictures from number `first` on."""
    return f"{parts_prefix(job_id)}/{first:09d}-{count:06d}"


def drawn_prefix(job_id: str, first: int, count: int) -> str:
    """Return the folder of what was drawn of the same pictures."""
    return f"jobs/{job_id}/drawn/{first:09d}-{count:06d}"


def listing_path(fingerprint: str) -> str:
    """Return the path of a listing of pictures; raise InvalidValue for a name that is no hex hash."""
    if not _STAGE_KEY.fullmatch(fingerprint):
        raise InvalidValue(f"'{fingerprint}' names no listing: it must be a hash in lower-case hex")
    return f"listings/{fingerprint}.jsonl"


def set_path(fingerprint: str) -> str:
    """Return the path of the list of a category's pushed pictures; raise InvalidValue for no SHA-256."""
    if not _SHA256.fullmatch(fingerprint):
        raise InvalidValue(f"'{fingerprint}' is not a fingerprint of pictures: it must be a SHA-256 in hex")
    return f"{SETS}/{fingerprint}.json"


def set_of(path: str) -> str | None:
    """Return the fingerprint whose pictures a path lists; None for any other path."""
    mark = path.removeprefix(f"{SETS}/").removesuffix(".json")
    return mark if _SHA256.fullmatch(mark) else None


def blob_path(sha256: str) -> str:
    """Return the path of a pushed picture by its content; raise InvalidValue for no SHA-256."""
    if not _SHA256.fullmatch(sha256):
        raise InvalidValue(f"'{sha256}' is not the SHA-256 of a file, in lower-case hex")
    return f"{BLOBS}/{sha256[:2]}/{sha256}"


def logs_prefix(job_id: str, attempt: int) -> str:
    """Return the folder of an attempt's log chunks."""
    return f"jobs/{job_id}/logs/a{attempt}"


def log_path(job_id: str, attempt: int, chunk: int) -> str:
    """Return the path of one log chunk."""
    return f"{logs_prefix(job_id, attempt)}/{chunk:06d}.txt"


def benchmark_prefix(benchmark_id: str, version: int) -> str:
    """Return the folder of what a benchmark has come to, as it stood at a version of its."""
    return f"benchmarks/{benchmark_id}/v{version}"


def stage_prefix(key: str) -> str:
    """Return the folder of a stage; raise InvalidValue for a key that is no hex hash."""
    if not _STAGE_KEY.fullmatch(key):
        raise InvalidValue(f"'{key}' is not the key of a stage: it must be a hash in lower-case hex")
    return f"stages/{key}"


def confined(path: str) -> str:
    """Return a path below the storage's root unchanged; raise InvalidValue for one that leads out of it."""
    parts = path.split("/")
    if (
        not path
        or any(part in ("", ".", "..") for part in parts)
        or any(mark in path for mark in ("\\", "\0", ":"))
        or PurePosixPath(path).is_absolute()
    ):
        raise InvalidValue(f"'{path}' is not a path below the storage: use plain names parted by '/'")
    return path
