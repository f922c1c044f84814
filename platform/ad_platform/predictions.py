"""Predictions as jobs: what is submitted, and how what was scored is gathered again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform import memory, planning
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest, UnknownName
from ad_platform.models import Model
from ad_platform.records import Holding, Job
from ad_platform.requests import Scheduling, Submitted
from ad_platform.results import SELECTED_ON, selected_on
from ad_platform.specs import DatasetRef, JobSpec, Json, PictureAsk, Submission
from ad_platform.states import JobKind
from ad_platform.storage.listings import Listing, write_listing
from ad_platform.storage.parts import Use, end_of, in_a_row, rows_of, whole_parts


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """A model, the pictures that it is to score, and what is to be made of them."""

    model: Model
    listing: Listing
    ask: PictureAsk
    device: str = "auto"
    scheduling: Scheduling = field(default_factory=Scheduling)


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a prediction has scored: all of it, or what there is so far."""

    job: Job
    ask: PictureAsk
    uses: tuple[Use, ...]

    @property
    def count(self) -> int:
        """Return how many pictures, from the first on, have a row."""
        return end_of(self.uses)

    @property
    def cut(self) -> float | None:
        """Return the score above which a picture is anomalous, if there is one."""
        value = (self.ask.threshold or {}).get("threshold")
        return float(value) if isinstance(value, int | float) else None

    @property
    def whole(self) -> bool:
        """Whether every picture has one."""
        return self.count == self.ask.count


def submit(client: Client, request: PredictRequest) -> Submitted:
    """Submit a prediction: its listing is kept first, and the pictures themselves are not read.

    The folder's node is the only one to take it unless every node has the folder: then those that are known
    now may. Raises InvalidRequest for a model in a folder, or a device that nobody has; StorageDown.
    """
    submission = plan(client, request)
    client.device_of(submission)
    fingerprint = write_listing(client.storage, request.listing)
    nodes = {client.settings.node}
    if not request.listing.node:
        nodes |= {worker.node for worker in client.store.workers.roster() if worker.state != "gone"}
    folder = request.listing.folder
    client.store.workers.hold(
        [
            Holding(node=node, fingerprint=fingerprint, dataset="", category="", path=folder)
            for node in sorted(nodes)
        ]
    )
    return client.submit([submission])


def plan(client: Client, request: PredictRequest) -> Submission:
    """Return what a prediction would submit, checked."""
    model, scheduling = request.model, request.scheduling
    if model.job is None:
        raise InvalidRequest(
            f"{model.folder} is a folder, which no worker knows; name NAME@ALIAS or a train job to submit"
        )
    planning.check(scheduling)
    trained = model.job.spec
    spec = JobSpec(
        kind=JobKind.PREDICT,
        detector=trained.detector,
        dataset=DatasetRef(
            dataset=trained.dataset.dataset,
            category=trained.dataset.category,
            fingerprint=request.listing.fingerprint,
            path=request.listing.folder,
        ),
        config=trained.config,
        preset=trained.preset,
        seed=trained.seed,
        device=request.device,
        source=model.job.id,
        threads=threads(client, model),
        pictures=request.ask,
    )
    asked = Submission(
        spec=spec,
        user=client.settings.user,
        key=scheduling.key,
        name=scheduling.name,
        tags={**scheduling.tags, **_chosen_by(model.job)},
        group=scheduling.group,
        queue=scheduling.queue,
        priority=scheduling.priority,
        gpus=planning.cards(request.device, scheduling.gpus),
        memory_mb=scheduling.memory_mb or 0,
        preemptible=scheduling.preemptible,
        max_attempts=scheduling.max_attempts,
        timeout=scheduling.timeout,
        code=client.code,
    )
    return asked if scheduling.memory_mb is not None else memory.with_usual(client.store, asked)


def _chosen_by(train: Job) -> dict[str, str]:
    """Return the tag that says which images a model's settings were chosen by, if they were."""
    return {SELECTED_ON: selected_on(train)} if SELECTED_ON in train.tags else {}


def threads(client: Client, model: Model) -> int | None:
    """Return how many threads a model's evaluation had on a CPU: another number gives other last digits."""
    attempts = client.attempts(model.operating_job) if model.operating_job is not None else []
    known = attempts[-1].facts.get("threads") if attempts else None
    return known if isinstance(known, int) and known > 0 else None


def gather(client: Client, job: Job) -> Gathered:
    """Return what a prediction has scored so far; raise InvalidRequest for a job of another kind."""
    if job.spec.pictures is None:
        raise InvalidRequest(
            f"job {job.id} is of kind {job.kind}, and only a prediction has results of pictures; "
            f"all that is known of it: adctl show {job.id}"
        )
    uses = in_a_row(whole_parts(client.storage, lineage(client, job)))
    return Gathered(job=job, ask=job.spec.pictures, uses=tuple(uses))


def rows(client: Client, gathered: Gathered) -> Iterator[tuple[Use, list[Mapping[str, Json]]]]:
    """Yield the rows of each part in the order of the pictures; raise CorruptBundle, StorageDown."""
    with tempfile.TemporaryDirectory(prefix="adctl-parts-") as scratch:
        for use in gathered.uses:
            yield use, [json.loads(line) for line in rows_of(client.storage, use, Path(scratch))]


def lineage(client: Client, job: Job) -> list[str]:
    """Return a job and those it retries: it goes on behind their parts."""
    found = [job.id]
    try:
        while job.retry_of is not None:
            job = client.store.jobs.get(job.retry_of)
            found.append(job.id)
    except UnknownName:  # removed since
        pass
    return found
