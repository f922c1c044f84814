"""Decide which model carries an alias: in the store, from the store and the storage alone."""

import re
from collections.abc import Sequence

from ad_platform.errors import ChampionChanged, Conflict, InvalidRequest, InvalidValue
from ad_platform.records import Champion, Job
from ad_platform.registry.gates import METRIC, Candidate, Verdict, judge, refuse
from ad_platform.results import result_of
from ad_platform.rungs import no_model
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

_ALIAS = re.compile(r"(?!(?i:latest|v\d+)$)[A-Za-z][\w-]{0,63}")  # MLflow keeps the others to itself
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]+")


def promote(
    store: Store,
    storage: Storage,
    job: Job,
    alias: str,
    user: str,
    force: bool = False,
    reason: str = "",
) -> Champion:
    """Make the model of a train job, or of the job an evaluation scored, carry an alias.

    An alias that the model has in another case is that alias. Promoting what already carries it, by the same
    evaluation, changes nothing. Raises GateRefused naming the gate, InvalidValue for an alias that cannot be
    or force without a reason, Conflict for an evaluation that has not succeeded, and ChampionChanged when
    others promoted twice in between; InvalidRequest for a trial, which has no model.
    """
    if not _ALIAS.fullmatch(alias):
        raise InvalidValue(
            f"'{alias}' cannot be an alias; one begins with a letter and has letters, digits, '-' and '_', "
            "but is not latest or v1: champion"
        )
    if force and not reason.strip():
        raise InvalidValue("--force needs --reason TEXT: it is kept with the decision")
    candidate = _candidate(store, job)
    alias = _as_spelled(store, model_name(candidate.job), alias)
    try:
        return _decide(store, storage, candidate, alias, user, force, reason)
    except ChampionChanged:
        # Somebody was faster; the gates are asked again, against the champion there is now.
        return _decide(store, storage, candidate, alias, user, force, reason)


def model_name(job: Job) -> str:
    """Return the name of the registered model that a job's model is a version of."""
    data = job.spec.dataset
    return _STRANGE.sub("-", f"{job.spec.detector}-{data.dataset}-{data.category}")


def _decide(
    store: Store, storage: Storage, candidate: Candidate, alias: str, user: str, force: bool, reason: str
) -> Champion:
    model = model_name(candidate.job)
    current = store.champions.current(model, alias)
    if current is not None and _same(current, candidate):
        return current
    verdicts = judge(candidate, current, storage)
    refuse(verdicts, candidate.job, force)
    return store.champions.promote(
        Champion(
            model=model,
            alias=alias,
            revision=1 if current is None else current.revision + 1,
            job_id=candidate.job.id,
            user=user,
            reason=reason,
            evidence=_evidence(candidate, verdicts),
            forced=any(not verdict.passed for verdict in verdicts),
        )
    )


def _candidate(store: Store, job: Job) -> Candidate:
    if job.kind is JobKind.TRAIN:
        evaluation = _newest_evaluation(store, job)
        missed = (
            None if evaluation else next(iter(store.jobs.search(kind=JobKind.EVALUATE, needs=job.id)), None)
        )
        return Candidate(job=job, evaluation=evaluation, missed=missed)
    if job.kind is JobKind.TRIAL:
        raise InvalidRequest(no_model(job))
    if job.kind is JobKind.PREDICT:
        raise InvalidRequest(f"job {job.id} is a prediction; promote its train job: {job.spec.source}")
    if job.spec.source is None:
        raise InvalidRequest(f"job {job.id} names no train job; promote the train job itself")
    if job.state is not JobState.SUCCEEDED:
        raise Conflict(_no_reason(job, job.spec.source))
    return Candidate(job=store.jobs.get(job.spec.source), evaluation=job)


def _no_reason(evaluation: Job, train: str) -> str:
    """Say why an evaluation speaks for nothing, and what to do."""
    if not evaluation.state.terminal:
        return (
            f"evaluation {evaluation.id} of job {train} is {evaluation.state}; wait for it with: "
            f"adctl watch {evaluation.id}"
        )
    why = f" ({evaluation.error})" if evaluation.error else ""
    return (
        f"evaluation {evaluation.id} of job {train} is {evaluation.state}{why}; run it again with: "
        f"adctl retry {evaluation.id}"
    )


def _as_spelled(store: Store, model: str, alias: str) -> str:
    """Return an alias as the model has it, if it has it in any case."""
    known = {decision.alias for decision in store.champions.history(model)}
    return alias if alias in known else next((one for one in known if one.lower() == alias.lower()), alias)


def _newest_evaluation(store: Store, job: Job) -> Job | None:
    done = [JobState.SUCCEEDED]
    found = store.jobs.search(states=done, kind=JobKind.EVALUATE, needs=job.id, limit=1)
    if not found:  # an evaluation of a job that had ended need not have waited for it
        others = store.jobs.search(states=done, kind=JobKind.EVALUATE, limit=1000)
        found = [other for other in others if other.spec.source == job.id]
    return found[0] if found else None


def _same(current: Champion, candidate: Candidate) -> bool:
    evaluation = candidate.evaluation.id if candidate.evaluation else None
    return current.job_id == candidate.job.id and current.evidence.get("evaluation") == evaluation


def _evidence(candidate: Candidate, verdicts: Sequence[Verdict]) -> dict[str, Json]:
    result = result_of(candidate.job)
    metrics = result_of(candidate.evaluation).metrics if candidate.evaluation else {}
    return {
        "gates": [verdict.to_json() for verdict in verdicts],
        "evaluation": candidate.evaluation.id if candidate.evaluation else None,
        "fingerprint": candidate.fingerprint,
        "bundle": result.bundle,
        "manifest_sha256": result.manifest_sha256,
        "metrics": dict(metrics),
        METRIC: candidate.auroc,
    }
