"""Decide which model carries an alias: in the store, from the store and the storage alone."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ad_platform.errors import ChampionChanged, Conflict, InvalidRequest, InvalidValue
from ad_platform.failpoints import Edge, reach
from ad_platform.records import Champion, Job
from ad_platform.registry import operating
from ad_platform.registry.case import METRIC, Candidate, Case, Verdict, candidate_of
from ad_platform.registry.gates import judge, refuse, refused
from ad_platform.registry.limits import AllLimits
from ad_platform.registry.operating import OperatingPoint
from ad_platform.results import result_of
from ad_platform.rungs import no_model
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

_ALIAS = re.compile(r"(?!(?i:latest|v\d+)$)[A-Za-z][\w-]{0,63}")  # MLflow keeps the others to itself
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]+")
# Each time somebody else was faster, the gates are asked again, against what is in force by then.
TRIES = 50


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person wants of a promotion beside the model."""

    alias: str
    user: str
    force: bool = False
    reason: str = ""
    operating: OperatingPoint | None = None  # a threshold of their choice; None takes the calibrated one
    chosen: Mapping[str, Json] = field(default_factory=dict)  # how the model was chosen among others


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a promotion would come to: the decision, and what every gate says of it."""

    champion: Champion
    verdicts: tuple[Verdict, ...]
    force: bool = False
    same: bool = False  # that very model carries the alias already

    @property
    def refused(self) -> list[Verdict]:
        """Return the gates that say no and are not, or cannot be, overruled."""
        return refused(self.verdicts, self.force)

    @property
    def passes(self) -> bool:
        """Whether it would become the decision in force."""
        return self.same or not self.refused


def promote(
    store: Store,
    storage: Storage,
    job: Job,
    alias: str,
    user: str,
    force: bool = False,
    reason: str = "",
    *,
    limits: AllLimits | None = None,
) -> Champion:
    """Make the model of a train job carry an alias, with nothing else wished; see `decide`."""
    return decide(store, storage, job, Wish(alias=alias, user=user, force=force, reason=reason), limits)


def decide(store: Store, storage: Storage, job: Job, wish: Wish, limits: AllLimits | None = None) -> Champion:
    """Make the model of a train job, or of the job an evaluation scored, carry an alias.

    An alias that the model has in another case is that alias. Promoting what already carries it, by the same
    evaluation and with the same threshold, changes nothing. Raises GateRefused naming the gate, InvalidValue
    for an alias that cannot be or force without a reason, Conflict for an evaluation that has not succeeded,
    and ChampionChanged when others promoted in between again and again; InvalidRequest for a trial, which
    has no model.
    """

    def once() -> Champion:
        proposal = propose(store, storage, job, wish, limits)
        if proposal.same:
            return proposal.champion
        refuse(proposal.verdicts, store.jobs.get(proposal.champion.job_id), wish.force)
        return _kept(store, proposal.champion)

    return _until_decided(once)


def propose(
    store: Store, storage: Storage, job: Job, wish: Wish, limits: AllLimits | None = None
) -> Proposal:
    """Return what a promotion would come to, and change nothing; raises as `promote`, but no GateRefused."""
    _check(wish)
    candidate = replace(_candidate(store, job), operating=wish.operating, chosen=wish.chosen)
    model = model_name(candidate.job)
    alias = as_spelled(store, model, wish.alias)
    case = Case(
        candidate=candidate,
        champion=store.champions.current(model, alias),
        store=store,
        storage=storage,
        limits=(limits or AllLimits()).of(model),
    )
    if case.champion is not None and _same(case.champion, case):
        verdicts = verdicts_of(case.champion)
        return Proposal(champion=case.champion, verdicts=verdicts, force=wish.force, same=True)
    verdicts = tuple(judge(case))
    champion = Champion(
        model=model,
        alias=alias,
        revision=1 if case.champion is None else case.champion.revision + 1,
        job_id=candidate.job.id,
        user=wish.user,
        reason=wish.reason,
        evidence=evidence_of(case, verdicts),
        forced=any(not verdict.passed for verdict in verdicts),
    )
    return Proposal(champion=champion, verdicts=verdicts, force=wish.force)


def roll_back(
    store: Store,
    storage: Storage,
    model: str,
    alias: str,
    user: str,
    reason: str,
    *,
    to: int | None = None,
    limits: AllLimits | None = None,
) -> Champion:
    """Make an earlier decision the one in force again, as a new revision, and return it.

    The model, its evaluation and its threshold are those of that revision: without `to` of the one before
    the one in force, where what was rolled back counts as gone. The gates are asked and recorded, but only
    those that cannot be forced refuse. Raises InvalidValue without a reason, InvalidRequest for a revision
    that there is not, Conflict where there is none before, ChampionChanged if somebody decided in between.
    """
    if not reason.strip():
        raise InvalidValue("a rollback needs --reason TEXT: it is kept with the decision")
    decisions = {each.revision: each for each in store.champions.history(model) if each.alias == alias}
    if not decisions:
        raise InvalidRequest(f"nothing carries {model}@{alias}")
    current = decisions[max(decisions)]
    earlier = _earlier(decisions, current) if to is None else _revision(decisions, current, to)
    candidate = Candidate(
        job=store.jobs.get(earlier.job_id),
        evaluation=_evaluation(store, earlier),
        operating=operating.of_decision(earlier),
    )
    case = Case(
        candidate=candidate,
        champion=current,
        store=store,
        storage=storage,
        limits=(limits or AllLimits()).of(model),
    )
    if _same(current, case):
        raise Conflict(
            f"{model}@{alias} is that model with that threshold already (revision {current.revision})"
        )
    verdicts = judge(case)
    refuse(verdicts, candidate.job, force=True)
    champion = Champion(
        model=model,
        alias=alias,
        revision=current.revision + 1,
        job_id=earlier.job_id,
        user=user,
        reason=reason,
        evidence={**evidence_of(case, verdicts), "rollback_to": earlier.revision},
        forced=any(not verdict.passed for verdict in verdicts),
    )
    return _kept(store, champion)


def model_name(job: Job) -> str:
    """Return the name of the registered model that a job's model is a version of."""
    data = job.spec.dataset
    return _STRANGE.sub("-", f"{job.spec.detector}-{data.dataset}-{data.category}")


def as_spelled(store: Store, model: str, alias: str) -> str:
    """Return an alias as the model has it, if it has it in any case."""
    known = {decision.alias for decision in store.champions.history(model)}
    return alias if alias in known else next((one for one in known if one.lower() == alias.lower()), alias)


def rolled_back_to(champion: Champion) -> int | None:
    """Return the revision that a decision made the one in force again, if it was a rollback."""
    found = champion.evidence.get("rollback_to")
    return found if isinstance(found, int) else None


def verdicts_of(champion: Champion) -> tuple[Verdict, ...]:
    """Return what the gates said of a decision when it was made; older ones have words alone."""
    gates = champion.evidence.get("gates")
    found = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    return tuple(
        Verdict(
            gate=str(gate.get("gate")),
            passed=gate.get("passed") is True,
            detail=str(gate.get("detail")),
            evidence=evidence if isinstance(evidence := gate.get("evidence"), dict) else {},
        )
        for gate in found
    )


def evidence_of(case: Case, verdicts: Sequence[Verdict]) -> dict[str, Json]:
    """Return what is kept with a decision: what the gates said, by which numbers and limits, and of what."""
    candidate = case.candidate
    result = result_of(candidate.job)
    metrics = result_of(candidate.evaluation).metrics if candidate.evaluation else {}
    point = case.operating
    weights = next((one.evidence["weights"] for one in verdicts if "weights" in one.evidence), None)
    return {
        "gates": [verdict.to_json() for verdict in verdicts],
        "limits": case.limits.to_json(),
        "against": case.champion.revision if case.champion is not None else None,
        "chosen": dict(candidate.chosen),
        "evaluation": candidate.evaluation.id if candidate.evaluation else None,
        "fingerprint": candidate.fingerprint,
        "bundle": result.bundle,
        "manifest_sha256": result.manifest_sha256,
        "weights": weights,
        operating.KEY: point.to_json() if point is not None else None,
        "metrics": dict(metrics),
        METRIC: candidate.auroc,
    }


def _kept(store: Store, champion: Champion) -> Champion:
    """Make a decision the one in force; raise ChampionChanged if others decided since it was prepared."""
    reach(Edge.DECIDE)
    return store.champions.promote(champion)


def _until_decided(once: Callable[[], Champion]) -> Champion:
    """Decide again for as long as somebody else was faster: each time that happens, a decision was made."""
    for _ in range(TRIES - 1):
        try:
            return once()
        except ChampionChanged:
            continue
    return once()


def _check(wish: Wish) -> None:
    if not _ALIAS.fullmatch(wish.alias):
        raise InvalidValue(
            f"'{wish.alias}' cannot be an alias; one begins with a letter and has letters, digits, '-' and "
            "'_', but is not latest or v1: champion"
        )
    if wish.force and not wish.reason.strip():
        raise InvalidValue("--force needs --reason TEXT: it is kept with the decision")


def _candidate(store: Store, job: Job) -> Candidate:
    if job.kind is JobKind.TRAIN:
        return candidate_of(store, job)
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


def _same(current: Champion, case: Case) -> bool:
    """Say whether the decision in force is of that very model, by that evaluation, with that threshold."""
    candidate, point = case.candidate, case.operating
    evaluation = candidate.evaluation.id if candidate.evaluation else None
    if current.job_id != candidate.job.id or current.evidence.get("evaluation") != evaluation:
        return False
    if operating.KEY not in current.evidence:  # by an older adctl
        return candidate.operating is None
    return operating.of_decision(current) == point


def _revision(decisions: Mapping[int, Champion], current: Champion, to: int) -> Champion:
    if to not in decisions:
        raise InvalidRequest(
            f"{current.model}@{current.alias} has no revision {to}; it is at {current.revision}: "
            f"adctl models history {current.model}"
        )
    return decisions[to]


def _earlier(decisions: Mapping[int, Champion], current: Champion) -> Champion:
    """Return the decision before the one in force; a rollback stands where what it went back to stands."""
    origin = current
    while (to := rolled_back_to(origin)) is not None and to in decisions:
        origin = decisions[to]
    for revision in range(origin.revision - 1, 0, -1):
        found = decisions[revision]
        differs = found.job_id != origin.job_id or operating.of_decision(found) != operating.of_decision(
            origin
        )
        if rolled_back_to(found) is None and differs:
            return found
    raise Conflict(
        f"{current.model}@{current.alias} had no other model before revision {origin.revision}; "
        f"name a revision with --to: adctl models history {current.model}"
    )


def _evaluation(store: Store, champion: Champion) -> Job | None:
    """Return the evaluation that spoke for a decision."""
    spoke = champion.evidence.get("evaluation")
    return store.jobs.get(spoke) if isinstance(spoke, str) else None
