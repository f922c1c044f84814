"""What of a job's data a detector must not look at while its code runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from ad_detectors.seal import Seal, sealed_from
from ad_platform.specs import JobSpec
from ad_workers.desk import Desk
from ad_workers.messages import Assignment

DECODED = "pictures"  # the folder of decoded pictures in a node's cache


def sealed_off(desk: Desk) -> AbstractContextManager[Seal]:
    """Seal the pictures of a job from its detector: the category's folder, and the decoded pictures."""
    return sealed_from(
        desk.spec.detector, places(desk.assignment, desk.spec, desk.pictures), free(desk.assignment)
    )


def places(job: Assignment, spec: JobSpec, pictures: Path | None) -> dict[str, str]:
    """Return what is sealed, and what it is called; `pictures` is the folder that they were fetched to."""
    data = spec.dataset
    what = f"{data.dataset}/{data.category}"
    folders = (job.data, str(pictures or ""))
    return {
        **{folder: what for folder in folders if folder},
        str(Path(job.cache) / DECODED): "the decoded pictures",
    }


def free(job: Assignment) -> list[str]:
    """Return what is not sealed even if it lies in the category's folder: the job's own places."""
    found = [job.scratch, job.cache]
    if job.weights is not None:
        found.append(job.weights)
    storage = urlsplit(job.storage_url)
    if storage.scheme in ("", "file") and storage.path:
        found.append(storage.path)
    return found
