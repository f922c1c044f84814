"""What `adctl submit` will submit: the wish of a job or a file, the options over it, and the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ad_cli import out, session, targets
from ad_platform import datasets, run_file
from ad_platform.errors import InvalidData, InvalidRequest
from ad_platform.history import Estimate
from ad_platform.requests import Scheduling
from ad_platform.states import JobKind
from ad_platform.wishes import NOTHING_SAID, DataWish, Wish, differences, request_of, scheduled, wish_of

if TYPE_CHECKING:
    from ad_platform.catalogue import DetectorEntry
    from ad_platform.client import Client
    from ad_platform.datasets import Found
    from ad_platform.devices import DeviceChoice
    from ad_platform.records import Job
    from ad_platform.requests import TrainRequest
    from ad_platform.run_file import RunFile
    from ad_platform.specs import Json, Submission


@dataclass(frozen=True, kw_only=True)
class Source:
    """What options are laid over: a job to clone, a run file, or nothing."""

    job: Job | None = None
    file: RunFile | None = None

    @property
    def words(self) -> str:
        """Return what it is called."""
        return f"job {self.job.id}" if self.job else self.file.file if self.file else ""

    def blamed(self, name: str) -> AbstractContextManager[None]:
        """Say the file's line along with what turns out to be wrong with something in it."""
        return self.file.blamed(name) if self.file else nullcontext()


@dataclass(frozen=True, kw_only=True)
class Images:
    """What was said about the pictures on the command line."""

    data: Path | None = None
    dataset: str | None = None
    category: str | None = None

    @property
    def said(self) -> bool:
        """Whether anything was."""
        return (self.data, self.dataset, self.category) != (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be submitted, and what can be said of it beforehand."""

    submissions: Sequence[Submission]
    found: Found | None
    device: DeviceChoice
    estimates: Sequence[Estimate | None]  # of each submission
    cloned: Job | None = None

    @property
    def differs(self) -> dict[str, tuple[Json, Json]]:
        """Return what a clone has differently from the job it was made from."""
        return {} if self.cloned is None else differences(self.cloned.spec, self.submissions[0].spec)


def source(client: Client, job: str | None, file: Path | None) -> Source:
    """Return what options are to be laid over; raise InvalidRequest for what is none."""
    if job is not None and file is not None:
        raise InvalidRequest("give either --from JOB or --config FILE, not both")
    if job is not None:
        return Source(job=_train_job(client, job))
    return Source(file=run_file.load(file)) if file is not None else Source()


def _train_job(client: Client, text: str) -> Job:
    """Return the job that is meant; the newest of all is mostly an evaluation, and a training is wanted."""
    newest = client.jobs(kind=JobKind.TRAIN, limit=1) if text == "@last" else []
    of_sweep = "take its best settings: adctl sweep best {}"
    return newest[0] if newest else targets.job(client, session.sweeps(client), text, of_sweep)


def plan_train(client: Client, below: Source, wish: Wish, images: Images) -> Plan:
    """Return what a training comes to; a mistyped name is said before any picture is read."""
    request, found = train_request(client, below, wish, images)
    with settings_blamed(below, wish):
        submissions, note = datasets.evaluable(client.plan_train(request), found)
    if note:
        out.note(note)
    return foreseen(client, submissions, found, below.job)


def train_request(client: Client, below: Source, wish: Wish, images: Images) -> tuple[TrainRequest, Found]:
    """Return what is asked of a training, and its pictures."""
    entry = _entry(client, below, wish)
    wish = replace(wish, detector=entry.name)
    whole = wish.over(_lower(below, wish, entry))
    if images.said:
        found = datasets.find(client, images.data, images.dataset, images.category, like=whole.data)
    else:
        with below.blamed("data.fingerprint" if whole.data.fingerprint else "data"):
            found = datasets.find(client, None, None, None, like=whole.data)
    return request_of(whole, found.ref), found


def settings_blamed(below: Source, wish: Wish) -> AbstractContextManager[None]:
    """Say the file's line along with what is wrong with its settings, unless others were typed."""
    typed = bool(wish.settings or wish.image_size or wish.preset)
    return nullcontext() if typed else below.blamed("settings")


def plan_evaluate(client: Client, job: str, wish: Wish, images: Images, attacks: Sequence[str] = ()) -> Plan:
    """Return what the evaluation of a train job's model comes to: on its own category unless told."""
    trained = _train_job(client, job)
    found = None
    if images.said:
        like = wish_of(trained).data if trained.kind is JobKind.TRAIN else DataWish()
        found = datasets.find(client, images.data, images.dataset, images.category, like=like)
        if not found.has_test and not found.held_out(trained.spec.holdout):
            raise InvalidData(f"{found.ref.path} has no test images; expected test/good and test/<defect>")
    scheduling = scheduled(wish, Scheduling(queue=trained.queue))
    submissions = client.plan_evaluate(trained.id, found.ref if found else None, scheduling, attacks)
    return foreseen(client, submissions, found, None)


def foreseen(
    client: Client, submissions: Sequence[Submission], found: Found | None, cloned: Job | None
) -> Plan:
    """Return a plan with its device and the time it will take; raise InvalidRequest for no such device."""
    device = client.device_of(submissions[0])
    counts = {JobKind.TRAIN: found.train, JobKind.EVALUATE: found.test} if found else {}
    estimates = [client.estimate(each.spec, counts.get(each.spec.kind)) for each in submissions]
    return Plan(submissions=submissions, found=found, device=device, estimates=estimates, cloned=cloned)


def _entry(client: Client, below: Source, wish: Wish) -> DetectorEntry:
    catalogue = client.catalogue()
    if wish.detector is not None:
        return catalogue.entry(wish.detector)
    named = below.file.wish.detector if below.file else wish_of(below.job).detector if below.job else None
    if named is None:
        where = f"{below.words} names no detector" if below.file else "say which detector"
        raise InvalidRequest(f"{where}: --model NAME; there are: {', '.join(catalogue.names())}")
    with below.blamed("detector"):
        return catalogue.entry(named)


def _lower(below: Source, wish: Wish, entry: DetectorEntry) -> Wish:
    """Return what lies below the options, the detector by its own name."""
    if below.job is not None:
        lower = wish_of(below.job)
    elif below.file is not None:
        lower = below.file.wish
        if lower.detector is not None and lower.detector.casefold() == entry.name.casefold():
            lower = replace(lower, detector=entry.name)
    else:
        return NOTHING_SAID
    if wish.starts_anew(lower):
        new = f"the preset {wish.preset}" if wish.preset else entry.name
        out.note(f"{new} starts anew: the settings of {below.words} are left out")
        return lower
    return replace(below.file.checked(entry), detector=lower.detector) if below.file else lower
