"""What a gate is asked about: a model that is to carry an alias, what speaks for it, what it replaces."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ad_platform.errors import CorruptBundle
from ad_platform.records import Champion, Job
from ad_platform.registry import operating, scores
from ad_platform.registry.drawing import Interval, Said, differences
from ad_platform.registry.limits import Limits
from ad_platform.registry.operating import OperatingPoint
from ad_platform.registry.scores import Scores
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.store.contract import Store

METRIC = "image_auroc"
CONFIG = "config.json"  # of a model's files the one that nothing was learnt into


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A fitted detector that is to carry an alias, and the evaluation that speaks for it."""

    job: Job
    evaluation: Job | None
    missed: Job | None = None  # where there is none: the newest that has not succeeded
    operating: OperatingPoint | None = None  # chosen by a person; None takes the calibrated one
    chosen: Mapping[str, Json] = field(default_factory=dict)  # how it was chosen among others, if it was

    @property
    def auroc(self) -> float | None:
        """Return the image AUROC of the evaluation, if it has a usable one."""
        metrics = result_of(self.evaluation).metrics if self.evaluation else {}
        value = next((metrics[name] for name in (f"test/{METRIC}", METRIC) if name in metrics), None)
        return value if value is not None and math.isfinite(value) else None

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the images that it was evaluated on."""
        return (self.evaluation or self.job).spec.dataset.fingerprint


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one gate says."""

    gate: str
    passed: bool
    detail: str
    forcible: bool = True  # a person may overrule it
    evidence: Mapping[str, Json] = field(default_factory=dict)  # the numbers it was decided by

    def to_json(self) -> dict[str, Json]:
        """Return what is kept as evidence."""
        return {
            "gate": self.gate,
            "passed": self.passed,
            "detail": self.detail,
            "evidence": dict(self.evidence),
        }


class Unknown(Exception):
    """A gate cannot tell; the words say why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How a model differs from the one in force on the same images."""

    evaluation: Job  # of the model in force
    mine: float
    theirs: float
    differences: Mapping[str, Interval]  # under drawing.ALL, and of each kind of defect
    images: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything the gates may look at; what is read or computed is so once, when a gate first asks."""

    candidate: Candidate
    champion: Champion | None  # the decision in force under the alias
    store: Store
    storage: Storage
    limits: Limits

    @cached_property
    def scores(self) -> Scores:
        """Return the stored scores of the evaluation; raise Unknown where there are none."""
        if self.candidate.evaluation is None:
            raise Unknown("it was not evaluated")
        try:
            return scores.read(self.storage, self.candidate.evaluation)
        except CorruptBundle as error:
            raise Unknown(str(error)) from error

    @cached_property
    def operating(self) -> OperatingPoint | None:
        """Return the operating point that the decision would carry."""
        if self.candidate.operating is not None:
            return self.candidate.operating
        own = own_evaluation(self.store, self.candidate.job, self.candidate.evaluation)
        return operating.calibrated_by(own) if own is not None else None

    @cached_property
    def paired(self) -> Paired:
        """Return the difference to the model in force; raise Unknown, with what to run, if it is unknown."""
        assert self.champion is not None
        theirs = self._theirs()
        try:
            other = scores.read(self.storage, theirs)
        except CorruptBundle as error:
            raise Unknown(f"of the model in force: {error}") from error
        mine = self.scores
        if mine.labels != other.labels:
            odd = len(set(mine.labels.items()) ^ set(other.labels.items()))
            raise Unknown(
                f"evaluation {theirs.id} of the model in force scored other images ({odd} differ): "
                f"{self._run()}"
            )
        normal = [one.path for one in mine.normal]
        bad = [one.path for one in mine.anomalous]
        if not normal or not bad:
            raise Unknown(f"evaluation {mine.evaluation} has no normal or no anomalous test images")
        found = differences(
            Said(mine.values(normal), mine.values(bad)),
            Said(other.values(normal), other.values(bad)),
            [one.defect for one in mine.anomalous],
        )
        ours = self.candidate.auroc or 0.0
        return Paired(
            evaluation=theirs,
            mine=ours,
            theirs=_auroc(theirs),
            differences=found,
            images=len(normal) + len(bad),
        )

    @cached_property
    def manifest(self) -> Manifest | None:
        """Return the list of the model's files."""
        bundle = result_of(self.candidate.job).bundle
        return None if bundle is None else self.storage.manifest(bundle)

    def _theirs(self) -> Job:
        """Return the evaluation of the model in force on the same images."""
        assert self.champion is not None
        known = evaluations_of(self.store, self.store.jobs.get(self.champion.job_id))
        mark = self.candidate.fingerprint
        own = [one for one in known if one.spec.dataset.fingerprint == mark]
        spoke = [one for one in own if one.id == self.champion.evidence.get("evaluation")]
        if found := next(iter([*spoke, *own]), None):
            return found
        raise Unknown(
            f"the model in force, job {self.champion.job_id}, was not evaluated on these images: "
            f"{self._run()}"
        )

    def _run(self) -> str:
        """Return the command that evaluates the model in force on the same images."""
        assert self.champion is not None
        data = (self.candidate.evaluation or self.candidate.job).spec.dataset
        where = f"--data {data.path}" if data.path else f"--dataset {data.dataset} --category {data.category}"
        return f"adctl submit evaluate {self.champion.job_id} {where}"


def evaluations_of(store: Store, job: Job) -> list[Job]:
    """Return the evaluations of a train job that succeeded, newest first."""
    done = [JobState.SUCCEEDED]
    needing = store.jobs.search(states=done, kind=JobKind.EVALUATE, needs=job.id)
    # An evaluation of a job that had ended need not have waited for it.
    others = store.jobs.search(states=done, kind=JobKind.EVALUATE, limit=1000) if not needing else []
    return needing or [other for other in others if other.spec.source == job.id]


def own_evaluation(store: Store, job: Job, preferred: Job | None = None) -> Job | None:
    """Return an evaluation on the images that a model was fitted to: only those calibrate it."""
    known = [*([preferred] if preferred is not None else []), *evaluations_of(store, job)]
    return next((one for one in known if one.spec.dataset.fingerprint == job.spec.dataset.fingerprint), None)


def candidate_of(store: Store, job: Job) -> Candidate:
    """Return a train job with its newest evaluation, or the newest that has not succeeded."""
    evaluation = next(iter(evaluations_of(store, job)), None)
    missed = None
    if evaluation is None:
        missed = next(iter(store.jobs.search(kind=JobKind.EVALUATE, needs=job.id)), None)
    return Candidate(job=job, evaluation=evaluation, missed=missed)


def weights_of(manifest: Manifest) -> str:
    """Return the SHA-256 of what was learnt: equal weights have equal ones, wherever they were made."""
    learnt = sorted((name, sha256) for name, sha256 in manifest.files.items() if name != CONFIG)
    return hashlib.sha256("".join(f"{name}\0{sha256}\n" for name, sha256 in learnt).encode()).hexdigest()


def _auroc(evaluation: Job) -> float:
    return Candidate(job=evaluation, evaluation=evaluation).auroc or 0.0
