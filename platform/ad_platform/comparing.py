"""What differs between two jobs: settings, code, data, environment and what was measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ad_platform.errors import InvalidRequest
from ad_platform.looking import Looking
from ad_platform.records import Attempt, Job
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState

Values = Mapping[str, Json]

# Which run it was, not what it ran on.
_OF_THE_RUN = frozenset({"resumed_step", "resumed_from"})
_COSTS = {"ms_per_image": "ms per image", "fit_seconds": "seconds to fit"}
_SECONDS = {JobKind.EVALUATE: "seconds to evaluate", JobKind.TRIAL: "seconds in all"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two jobs that are compared, and what belongs to it."""

    job: Job
    attempt: Attempt | None  # the newest
    node: str = ""  # of that attempt's worker
    evaluation: Job | None = None  # of a train job: what measured its model

    @property
    def measured(self) -> Job:
        """Return the job that holds the measures."""
        return self.evaluation or self.job


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not the same on both sides; None where one side lacks it."""

    name: str
    a: Json
    b: Json


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that both or one of two jobs measured."""

    name: str
    a: float | None
    b: float | None
    a_interval: tuple[float, float] | None = None
    b_interval: tuple[float, float] | None = None

    @property
    def difference(self) -> float | None:
        """Return b minus a, where both have it."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def same(self) -> bool:
        """Whether it is equal on both sides, or no number on both."""
        if self.a is None or self.b is None:
            return self.a is self.b
        return self.a == self.b or (math.isnan(self.a) and math.isnan(self.b))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two jobs side by side: only what differs, and every metric."""

    a: Side
    b: Side
    config: tuple[Difference, ...]
    code: tuple[Difference, ...]
    data: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...] = ()

    @property
    def sections(self) -> dict[str, tuple[Difference, ...]]:
        """Return what differs beside the metrics, by what it is about."""
        return {
            "config": self.config,
            "code": self.code,
            "data": self.data,
            "environment": self.environment,
        }

    def measured_by(self, a: Side, b: Side) -> "Comparison":
        """Return the same jobs, measured by other evaluations."""
        return replace(self, a=a, b=b, metrics=_metrics(a, b), notes=tuple(_notes(a, b)))

    @property
    def same_metrics(self) -> bool:
        """Whether every number is equal."""
        return all(metric.same for metric in self.metrics)

    @property
    def same(self) -> bool:
        """Whether nothing differs at all."""
        return self.same_metrics and not any(self.sections.values())


def compare(client: Looking, a: Job, b: Job) -> Comparison:
    """Set two jobs of a kind side by side; raise InvalidRequest for two that do different things."""
    if a.kind is not b.kind:
        raise InvalidRequest(_other_kinds(a, b))
    one, other = side_of(client, a), side_of(client, b)
    return Comparison(
        a=one,
        b=other,
        config=differing(_config(a), _config(b)),
        code=differing(dict(a.code), dict(b.code)),
        data=differing(_data(a), _data(b)),
        environment=differing(_environment(one), _environment(other)),
        metrics=_metrics(one, other),
        notes=tuple(_notes(one, other)),
    )


def side_of(client: Looking, job: Job) -> Side:
    """Return a job with its newest attempt and, of a train job, the evaluation that speaks for it."""
    attempts = client.attempts(job)
    attempt = attempts[-1] if attempts else None
    node = next((one.node for one in client.workers() if attempt and one.id == attempt.worker), "")
    return Side(job=job, attempt=attempt, node=node, evaluation=_evaluation(client, job))


def differing(a: Values, b: Values) -> tuple[Difference, ...]:
    """Return the names whose values differ, sorted; what one side lacks differs."""
    return tuple(
        Difference(name=name, a=a.get(name), b=b.get(name))
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name) or (name in a) != (name in b)
    )


def _evaluation(client: Looking, job: Job) -> Job | None:
    """Return the newest evaluation that ended well, one on the job's own images before any other."""
    if job.kind is not JobKind.TRAIN:
        return None
    ended = [
        one
        for one in client.dependents(job)
        if one.kind is JobKind.EVALUATE and one.state is JobState.SUCCEEDED
    ]
    own = [one for one in ended if one.spec.dataset.fingerprint == job.spec.dataset.fingerprint]
    return next(iter([*own, *ended]), None)


def _config(job: Job) -> Values:
    spec = job.spec
    beside: dict[str, Json] = {
        "detector": spec.detector,
        "preset": spec.preset,
        "seed": spec.seed,
        "device": spec.device,
        "holdout": spec.holdout,
        "threads": spec.threads,
        "checkpoint_every": spec.checkpoint_every,
    }
    if spec.measures:
        beside["measures"] = list(spec.measures)
    if spec.source is not None:
        beside["model of job"] = spec.source
    return {**beside, **_flat("", spec.config)}


def _flat(prefix: str, values: Values) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in values.items():
        found |= _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else {prefix + name: value}
    return found


def _data(job: Job) -> Values:
    data = job.spec.dataset
    return {"dataset": data.dataset, "category": data.category, "fingerprint": data.fingerprint}


def _environment(side: Side) -> Values:
    if side.attempt is None:
        return {}
    facts = {name: value for name, value in side.attempt.facts.items() if name not in _OF_THE_RUN}
    return {**({"node": side.node} if side.node else {}), "worker": side.attempt.worker, **facts}


def _metrics(a: Side, b: Side) -> tuple[Metric, ...]:
    one, other = _numbers(a), _numbers(b)
    lows, highs = _intervals(a.measured), _intervals(b.measured)
    return tuple(
        Metric(
            name=name,
            a=one.get(name),
            b=other.get(name),
            a_interval=lows.get(name),
            b_interval=highs.get(name),
        )
        for name in sorted({*one, *other})
    )


def _numbers(side: Side) -> dict[str, float]:
    found: dict[str, float] = {}
    for job in dict.fromkeys((side.job.id, side.measured.id)):
        of = side.job if job == side.job.id else side.measured
        found |= result_of(of).metrics
        costs = {words: of.result.get(name) for name, words in _COSTS.items()}
        if of.kind in _SECONDS:
            costs[_SECONDS[of.kind]] = of.result.get("seconds")
        found |= {name: float(value) for name, value in costs.items() if isinstance(value, int | float)}
    return found


def _intervals(job: Job) -> dict[str, tuple[float, float]]:
    found = job.result.get("intervals")
    intervals: dict[str, tuple[float, float]] = {}
    for name, ends in found.items() if isinstance(found, Mapping) else ():
        if isinstance(ends, list) and len(ends) == 2:
            low, high = ends
            if isinstance(low, int | float) and isinstance(high, int | float):
                intervals[name] = (float(low), float(high))
    return intervals


def _notes(a: Side, b: Side) -> list[str]:
    notes = [
        f"job {side.job.id} is {side.job.state}, so its numbers are not final"
        for side in (a, b)
        if not side.job.state.terminal
    ]
    if a.job.kind is JobKind.TRAIN:
        notes += [
            f"job {side.job.id} has not been evaluated (adctl submit evaluate {side.job.id})"
            for side in (a, b)
            if side.evaluation is None and side.job.state is JobState.SUCCEEDED
        ]
    prints = [side.measured.spec.dataset.fingerprint for side in (a, b)]
    trials = a.job.kind is JobKind.TRIAL
    if prints[0] != prints[1] and all(trials or _intervals(side.measured) for side in (a, b)):
        notes.append("they were measured on different images, so their metrics do not compare the models")
    return notes


def _other_kinds(a: Job, b: Job) -> str:
    if JobKind.TRIAL in (a.kind, b.kind):
        other = a if b.kind is JobKind.TRIAL else b
        return (
            f"job {a.id} is of kind {a.kind} and job {b.id} of kind {b.kind}; compare a trial with another "
            f"trial, and see the other alone: adctl show {other.id}"
        )
    evaluation = b if a.kind is JobKind.TRAIN else a
    first, second = (one.id if one.kind is JobKind.TRAIN else one.spec.source for one in (a, b))
    words = f"job {a.id} is of kind {a.kind} and job {b.id} of kind {b.kind}"
    if first == second:
        return f"{words}: it measured that very model; see what with: adctl show {evaluation.id}"
    return f"{words}; compare the two trainings with: adctl diff {first} {second}"


def same_images(comparison: Comparison) -> tuple[Job, Job] | None:
    """Return the two evaluations of a comparison if they scored the same images; None otherwise."""
    a, b = comparison.a.measured, comparison.b.measured
    if any(job.kind is not JobKind.EVALUATE or job.state is not JobState.SUCCEEDED for job in (a, b)):
        return None
    same = a.spec.dataset.fingerprint == b.spec.dataset.fingerprint and a.id != b.id
    return (a, b) if same else None
