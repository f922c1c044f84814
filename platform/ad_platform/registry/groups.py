"""The best model of a group of jobs by a measure: one for each category, out of those that were evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec
from ad_platform.errors import Conflict, InvalidRequest, UnknownName
from ad_platform.naming import match
from ad_platform.records import Job
from ad_platform.results import result_of
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState
from ad_platform.store.contract import Store

USUAL = "validation/image_auroc"  # what models are compared by unless a measure is named
LOWEST = frozenset({"ms_per_image", "peak_memory_mb"})  # of these less is better
COSTS = {"latency_ms": "ms_per_image", "memory_mb": "peak_memory_mb"}  # under other names that people use
MOST = 100_000  # jobs of one group


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best of a group's models on one category."""

    job: Job  # that fitted it
    evaluation: Job
    metric: str
    value: float
    among: int  # models that have this measure
    group: str

    @property
    def category(self) -> str:
        """Return what it was compared on."""
        data = self.evaluation.spec.dataset
        return f"{data.dataset}/{data.category}"

    def to_json(self) -> dict[str, Json]:
        """Return how it was chosen, as it is kept with a decision."""
        return {"by": self.metric, "value": self.value, "among": self.among, "group": self.group}


def exists(store: Store, group: str) -> bool:
    """Say whether any job belongs to a group, or to a benchmark of this name."""
    return bool(store.jobs.search(group=group, limit=1) or _taken(store, group))


def best_of(store: Store, group: str, metric: str = "", category: str = "") -> list[Best]:
    """Return the best model of a group for each category, by name; of equals the one submitted first.

    To a benchmark belongs also what was known before it, and so is no job of its own. A measure may be
    written without `validation/`, which then goes before `test/`. Raises Conflict where nothing was evaluated
    yet, UnknownName for a measure or category that is not there.
    """
    done = store.jobs.search(group=group, kind=JobKind.EVALUATE, states=[JobState.SUCCEEDED], limit=MOST)
    done += _taken(store, group)
    if not done:
        raise Conflict(f"no model of {group} is evaluated yet: adctl list --group {group}")
    found = _newest(done)
    if category:
        found = _of_category(found, category)
    name = _named(metric or USUAL, found)
    measured = [(value, one) for one in found if (value := _value(one, name)) is not None]
    places: dict[tuple[str, str], list[tuple[float, Job]]] = {}
    for value, one in sorted(measured, key=lambda pair: pair[1].seq):
        places.setdefault((one.spec.dataset.dataset, one.spec.dataset.category), []).append((value, one))
    return [_best(store, places[place], name, group) for place in sorted(places)]


def _taken(store: Store, group: str) -> list[Job]:
    """Return the evaluations that a benchmark of this name found done."""
    try:
        benchmark = store.benchmarks.get(group)
    except UnknownName:
        return []
    if benchmark.name != group:  # a few characters of its id, by chance
        return []
    cells = BenchmarkSpec.from_json(benchmark.spec).cells
    return [store.jobs.get(taken) for taken in dict.fromkeys(cell.taken for cell in cells) if taken]


def _best(store: Store, measured: Sequence[tuple[float, Job]], name: str, group: str) -> Best:
    sign = -1 if name in LOWEST else 1
    value, evaluation = max(measured, key=lambda pair: sign * pair[0])
    return Best(
        job=store.jobs.get(str(evaluation.spec.source)),
        evaluation=evaluation,
        metric=name,
        value=value,
        among=len(measured),
        group=group,
    )


def _newest(evaluations: Sequence[Job]) -> list[Job]:
    """Return the newest evaluation of each model on each category."""
    newest: dict[tuple[str | None, str], Job] = {}
    for one in evaluations:  # newest first
        newest.setdefault((one.spec.source, one.spec.dataset.fingerprint), one)
    return [one for one in newest.values() if one.spec.source is not None]


def _of_category(found: Sequence[Job], category: str) -> list[Job]:
    """Return the evaluations on a category, written as "bottle" or as "mvtec/bottle"."""
    known = {(one.spec.dataset.dataset, one.spec.dataset.category) for one in found}
    names = [f"{dataset}/{name}" if "/" in category else name for dataset, name in known]
    wanted = match("category", category, sorted(set(names)))
    return [
        one
        for one in found
        if wanted in (one.spec.dataset.category, f"{one.spec.dataset.dataset}/{one.spec.dataset.category}")
    ]


def _named(text: str, found: Sequence[Job]) -> str:
    """Return the measure that is meant; raise UnknownName with those that there are."""
    known = {name for one in found for name in result_of(one).metrics}
    known |= {name for name in LOWEST for one in found if isinstance(one.result.get(name), int | float)}
    if not known:
        raise InvalidRequest(
            "these evaluations measured nothing; evaluate anew with: adctl submit evaluate JOB"
        )
    wanted = COSTS.get(text.casefold(), text)
    short = [f"{split}/{wanted.casefold()}" for split in ("validation", "test")]
    return next((name for name in short if name in known), None) or match("measure", wanted, sorted(known))


def _value(evaluation: Job, name: str) -> float | None:
    value = result_of(evaluation).metrics.get(name, evaluation.result.get(name))
    return float(value) if isinstance(value, int | float) and value == value else None
