"""What a person can do with benchmarks: plan, submit, look, end, and run again what failed."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, Unpack

from ad_platform.benchmarks import asking, viewing
from ad_platform.benchmarks.addresses import rules_of
from ad_platform.benchmarks.asking import BenchmarkRequest, Wanted
from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec, Cell, Place, cell_keys
from ad_platform.benchmarks.known import Known
from ad_platform.benchmarks.standing import Standing, kept_standing, standing_of
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.errors import Conflict, UnknownName
from ad_platform.naming import LAST, checked, free
from ad_platform.paging import paged
from ad_platform.records import Benchmark, Job
from ad_platform.requests import GroupFilter
from ad_platform.specs import Submission
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.client import Client

Found: TypeAlias = list[Benchmark]  # `list` is a method below
Jobs: TypeAlias = list[Job]
MOST = 1000  # benchmarks that are listed
EVERY = 100_000


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """What would be submitted, and what is known already."""

    name: str
    key: str | None
    spec: BenchmarkSpec
    wanted: tuple[Wanted, ...]  # of each cell of the spec
    same: Benchmark | None = None  # that computes the very same, or has the key or name: it stands for this

    @property
    def missing(self) -> tuple[Wanted, ...]:
        """Return the cells that have to be computed."""
        pairs = zip(self.spec.cells, self.wanted, strict=True)
        return tuple(each for cell, each in pairs if cell.taken is None)


class Benchmarks:
    """Benchmarks as a person has them; safe to call again, since the store decides every race."""

    def __init__(self, client: "Client") -> None:
        self._client, self._store = client, client.store

    def plan(self, request: BenchmarkRequest) -> BenchmarkPlan:
        """Return what a request comes to; raise UnknownName, InvalidValue, InvalidRequest or Conflict."""
        asking.check(request)
        known = self._client.catalogue()
        models, places = asking.contenders(known, request), asking.places(request.categories)
        wanted = tuple(asking.wanted(request, known.entry, models, places))
        before, data = Known(self._store), {place.label: place.data for place in places}
        cells = []
        for one in wanted:
            entry = known.entry(one.spec.detector)
            found = before.evaluation(entry, data[one.category], one.address)
            cells.append(
                Cell(
                    model=one.model,
                    category=one.category,
                    seed=one.spec.seed,
                    address=one.address,
                    taken=None if found is None else found.id,
                )
            )
        spec = BenchmarkSpec(
            models=models,
            categories=places,
            seeds=tuple(range(request.seed, request.seed + request.seeds)),
            cells=tuple(cells),
            scheduling=request.scheduling,
            code=dict(self._client.code),
            rules={one.detector: dict(rules_of(known.entry(one.detector))) for one in models},
        )
        same = self._same(spec, request)
        name = same.name if same is not None else self._named(request.name, places)
        return BenchmarkPlan(name=name, key=request.key, spec=spec, wanted=wanted, same=same)

    def submit(self, plan: BenchmarkPlan) -> Benchmark:
        """Remember a benchmark with all of its jobs; one that is there already is returned as it is."""
        if plan.same is not None:
            return plan.same
        benchmark = Benchmark(
            id=secrets.token_hex(8),
            name=plan.name,
            key=plan.key,
            spec=plan.spec.to_json(),
            user=self._client.settings.user,
        )
        made, _ = self._store.benchmarks.create(benchmark, self._submissions(plan))
        if made.id != benchmark.id and not _means(made, plan.spec):
            raise Conflict(f"there is another benchmark named '{made.name}' already; give another --name")
        self._client.ring()
        self._client.announce()
        return made

    def list(self) -> Found:
        """Return the benchmarks, newest first."""
        return self._store.benchmarks.search(limit=MOST)

    def each(self, **wanted: Unpack[GroupFilter]) -> Iterator[Benchmark]:
        """Yield the benchmarks that a filter keeps, newest first unless told otherwise; it may keep more."""
        yield from paged(self._store.benchmarks.find, wanted)

    def standing(self, benchmark: Benchmark) -> Standing:
        """Return how many cells stand how; of an ended benchmark without a look at its jobs."""
        if (kept := kept_standing(benchmark)) is not None and self._store.benchmarks.settled(benchmark.id):
            return kept
        return standing_of(self.view(benchmark))

    def find(self, text: str) -> Benchmark:
        """Return a benchmark by name, id, the beginning of its id, or "@last"; raise UnknownName."""
        if text.lower() == LAST:
            newest = self._store.benchmarks.search(limit=1)
            if newest:
                return newest[0]
        return self._store.benchmarks.get(text)

    def view(self, benchmark: Benchmark) -> BenchmarkView:
        """Return how a benchmark stands."""
        return viewing.benchmark_view(self._store, benchmark)

    def retry(self, text: str) -> Jobs:
        """Run again what failed or was cancelled, and return the evaluations; raise Conflict for nothing."""
        view = self.view(self.find(text))
        bad = [cell.evaluation for cell in view.cells if cell.evaluation is not None and cell.bad]
        if not bad:
            why = "is still at work, and nothing of it has failed" if view.open else "has no failed cell"
            raise Conflict(f"benchmark {view.benchmark.name} {why}")
        again = [self._store.jobs.retry(job.id) for job in bad]
        self._client.ring()
        self._client.announce()
        return again

    def cancel(self, text: str) -> BenchmarkView:
        """End everything a benchmark has open; raise Conflict where that is nothing."""
        benchmark = self.find(text)
        view = self.view(benchmark)
        if not view.open:
            raise Conflict(f"benchmark {benchmark.name} has nothing that runs or waits")
        # What needs another job goes first, so that it ends cancelled and not for want of it.
        jobs = [cell.evaluation for cell in view.cells] + [cell.training for cell in view.cells]
        for job in jobs:
            if job is not None and not job.state.terminal:
                self._store.jobs.cancel(job.id)
        self._client.announce()
        return self.view(benchmark)

    def open_jobs(self, benchmark: Benchmark) -> Jobs:
        """Return the jobs of a benchmark that have not ended, oldest first."""
        states = [state for state in JobState if not state.terminal]
        return self._store.jobs.search(group=benchmark.name, states=states, oldest_first=True, limit=EVERY)

    def _submissions(self, plan: BenchmarkPlan) -> Sequence[Submission]:
        """Return a training and an evaluation for each missing cell, each behind the training it needs."""
        found: list[Submission] = []
        for cell, wanted in zip(plan.spec.cells, plan.wanted, strict=True):
            if cell.taken is not None:
                continue
            scheduling = asking.tagged(plan.spec.scheduling, plan.name)
            name = f"{cell.model} {cell.category} seed {cell.seed}"
            request = replace(wanted.request, scheduling=replace(scheduling, name=name))
            train, evaluation = self._client.plan_train(request)
            keys, need = cell_keys(plan.name, cell), f"#{len(found)}"
            found.append(replace(train, key=keys[0]))
            found.append(
                replace(evaluation, key=keys[1], needs=(need,), spec=replace(evaluation.spec, source=need))
            )
        return found

    def _same(self, spec: BenchmarkSpec, request: BenchmarkRequest) -> Benchmark | None:
        """Return the benchmark that stands for a request already; raise Conflict for another of its name."""
        if request.key is not None and (found := self._store.benchmarks.of_key(request.key)) is not None:
            if not _means(found, spec):
                raise Conflict(
                    f"the key '{request.key}' stands for benchmark {found.name}, which is another one"
                )
            return found
        if request.name:
            try:
                found = self._store.benchmarks.get(request.name)
            except UnknownName:
                return None
            if found.name != request.name:
                return None
            if not _means(found, spec):
                raise Conflict(
                    f"there is another benchmark named '{found.name}' already; give another --name"
                )
            return found
        return next((one for one in self.list() if _means(one, spec)), None)

    def _named(self, name: str, places: Sequence[Place]) -> str:
        studies = self._store.studies.names()
        if name:
            if checked("benchmark", name) in studies:
                raise Conflict(f"there is a sweep named '{name}' already; give another --name")
            return name
        taken = studies | self._store.benchmarks.names()
        return free("-".join(dict.fromkeys(place.data.dataset for place in places)), taken, "benchmark")


def _means(benchmark: Benchmark, spec: BenchmarkSpec) -> bool:
    return BenchmarkSpec.from_json(benchmark.spec).meaning == spec.meaning
