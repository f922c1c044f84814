"""What differs between two models: what `comparing` says of their jobs, and what was decided about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ad_platform import models
from ad_platform.client import Client
from ad_platform.comparing import Comparison, Difference, differing
from ad_platform.comparing import compare as compare_jobs
from ad_platform.errors import InvalidRequest, UnknownName
from ad_platform.models import Model, Registered
from ad_platform.records import Champion, Job
from ad_platform.registry.case import Verdict, weights_of
from ad_platform.registry.operating import OperatingPoint, calibrated_by, of_decision
from ad_platform.registry.promotion import verdicts_of
from ad_platform.results import result_of, selected_on
from ad_platform.specs import Json


@dataclass(frozen=True, kw_only=True)
class ModelSide:
    """One of two models that are compared."""

    words: str  # how it was named
    job: Job
    evaluation: Job | None
    champion: Champion | None  # the decision; None of a job that was named by itself
    weights: str | None  # the SHA-256 of what was learnt; None where the files are gone
    operating: OperatingPoint | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Return what the gates said of it when it was decided."""
        return verdicts_of(self.champion) if self.champion is not None else ()


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """Two models side by side: only what differs, and every metric."""

    a: ModelSide
    b: ModelSide
    model: tuple[Difference, ...]  # weights, threshold, and what was decided
    gates: tuple[Difference, ...]
    jobs: Comparison

    @property
    def same_weights(self) -> bool:
        """Whether both have learnt the very same."""
        return self.a.weights is not None and self.a.weights == self.b.weights


def compare(client: Client, a: str, b: str) -> ModelComparison:
    """Set two models side by side, each named by alias, by alias and revision, or by a train job."""
    one, other = _side(client, a), _side(client, b)
    jobs = compare_jobs(client, one.job, other.job)
    # Each by the evaluation that spoke for it, which need not be its newest.
    spoken = [replace(side, evaluation=of.evaluation) for side, of in ((jobs.a, one), (jobs.b, other))]
    return ModelComparison(
        a=one,
        b=other,
        model=differing(_facts(one), _facts(other)),
        gates=differing(_gates(one.verdicts), _gates(other.verdicts)),
        jobs=jobs.measured_by(*spoken),
    )


def _side(client: Client, text: str) -> ModelSide:
    try:
        return _of_decision(client, text, models.carrier(client, text))
    except InvalidRequest as error:
        if "@" in text.lstrip("@"):
            raise
        try:
            return _of_job(client, text, models.find(client, text))
        except UnknownName:
            raise error from None


def _of_decision(client: Client, text: str, found: Registered) -> ModelSide:
    return ModelSide(
        words=f"{found.words} (revision {found.champion.revision})",
        job=found.job,
        evaluation=found.evaluation,
        champion=found.champion,
        weights=_weights(client, found.job),
        operating=of_decision(found.champion)
        or (calibrated_by(found.evaluation) if found.evaluation is not None else None),
    )


def _of_job(client: Client, text: str, model: Model) -> ModelSide:
    if model.job is None:
        raise InvalidRequest(f"{text} is a folder; compare models that have an alias, or train jobs")
    evaluation = model.operating_job
    return ModelSide(
        words=f"job {model.job.id}",
        job=model.job,
        evaluation=evaluation,
        champion=None,
        weights=_weights(client, model.job),
        operating=calibrated_by(evaluation) if evaluation is not None else None,
    )


def _weights(client: Client, job: Job) -> str | None:
    bundle = result_of(job).bundle
    manifest = client.storage.manifest(bundle) if bundle is not None else None
    return weights_of(manifest) if manifest is not None else None


def _facts(side: ModelSide) -> dict[str, Json]:
    point, champion = side.operating, side.champion
    return {
        "job": side.job.id,
        "weights": side.weights,
        "evaluation": side.evaluation.id if side.evaluation is not None else None,
        "selected on": selected_on(side.job),
        "threshold": point.threshold if point is not None else None,
        "threshold of maps": point.map_threshold if point is not None else None,
        "false alarms": point.guarantee if point is not None else None,
        "decided by": champion.user if champion is not None else None,
        "forced": champion.forced if champion is not None else None,
        "reason": champion.reason or None if champion is not None else None,
    }


def _gates(verdicts: Sequence[Verdict]) -> dict[str, Json]:
    return {one.gate: f"{'passed' if one.passed else 'said no'}: {one.detail}" for one in verdicts}
