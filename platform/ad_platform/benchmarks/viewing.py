"""A benchmark as a person sees it, read from the store alone: cells, published numbers, comparisons.

`benchmark_view(store, benchmark)` changes nothing and needs no extra; whatever draws a benchmark (tables, a
page, the tracking server) draws this view, so that all of them say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ad_platform import retried
from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec, Cell, Contender, cell_keys
from ad_platform.benchmarks.comparisons import Across, Comparison, read_across, read_comparisons
from ad_platform.benchmarks.published import PublishedMethod, kind_of, methods_of
from ad_platform.records import Benchmark, Job
from ad_platform.results import SELECTED_ON, result_of
from ad_platform.specs import DatasetRef, Json
from ad_platform.states import JobState
from ad_platform.store.contract import Store

TEST = "test/"
BUNDLE = "bundle"  # in a benchmark's summary: where its tables lie in the storage
BAD = (JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class CategoryView:
    """A category of a benchmark."""

    label: str
    kind: str  # "texture", "object", or "" of a category that no published table sorts
    data: DatasetRef


@dataclass(frozen=True, kw_only=True)
class CellView:
    """One model on one category with one seed, as it stands now."""

    model: str  # labels, as in the view's models and categories
    category: str
    seed: int
    state: JobState  # of the cell as a whole
    taken: bool = False  # the result was there before the benchmark: nothing was computed for it
    found: bool = False  # every stage of the fit lay at its address: nothing was trained
    training: Job | None = None
    evaluation: Job | None = None  # the newest retry, as the training
    metrics: Mapping[str, float] = field(default_factory=dict)  # "image_auroc" ...: of the test images
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, by the same names
    selected_on: str = "none"  # which images its settings were chosen by: "test" flatters
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.state is JobState.SUCCEEDED

    @property
    def begun(self) -> bool:
        """Whether anything was computed for it."""
        jobs = (self.training, self.evaluation)
        return not self.taken and any(job is not None and job.started_at is not None for job in jobs)

    @property
    def bad(self) -> bool:
        """Whether it ended without one."""
        return self.state in BAD


@dataclass(frozen=True, kw_only=True)
class BenchmarkView:
    """How a benchmark stands: known + computed + failed + cancelled + open = all of its cells."""

    benchmark: Benchmark
    spec: BenchmarkSpec
    models: tuple[Contender, ...]
    categories: tuple[CategoryView, ...]
    seeds: tuple[int, ...]
    cells: tuple[CellView, ...]  # every model on every category with every seed
    published: tuple[PublishedMethod, ...] = ()  # of the datasets that are here
    comparisons: tuple[Comparison, ...] = ()  # of two models on one category, with corrected p values
    across: tuple[Across, ...] = ()  # of two models over categories

    def cell(self, model: str, category: str, seed: int) -> CellView:
        """Return the cell of these labels and this seed."""
        return self._by_place[model, category, seed]

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str, int], CellView]:
        return {(cell.model, cell.category, cell.seed): cell for cell in self.cells}

    def results(self, model: str, category: str, metric: str) -> list[float]:
        """Return what a model measured on a category, one number for each seed that has it."""
        found = (self.cell(model, category, seed) for seed in self.seeds)
        return [cell.metrics[metric] for cell in found if cell.done and metric in cell.metrics]

    def count(self, *states: JobState) -> int:
        """Return how many cells are in one of these states."""
        return sum(cell.state in states for cell in self.cells)

    @property
    def done(self) -> int:
        """Return how many cells have a result."""
        return self.count(JobState.SUCCEEDED)

    @property
    def known(self) -> int:
        """Return how many results were there before."""
        return sum(cell.taken for cell in self.cells)

    @property
    def failed(self) -> int:
        """Return how many cells ended without a result: failed or cancelled."""
        return self.count(*BAD)

    @property
    def open(self) -> int:
        """Return how many cells have not ended."""
        return len(self.cells) - self.done - self.failed

    @property
    def state(self) -> str:
        """Return how it stands in a word: waiting, running, complete, incomplete or cancelled."""
        if self.open:
            return "running" if any(cell.begun for cell in self.cells) else "waiting"
        if not self.failed:
            return "complete"
        return "cancelled" if self.count(JobState.CANCELLED) == self.failed else "incomplete"


def benchmark_view(store: Store, benchmark: Benchmark) -> BenchmarkView:
    """Return how a benchmark stands now; changes nothing."""
    spec = BenchmarkSpec.from_json(benchmark.spec)
    keys = {cell: cell_keys(benchmark.name, cell) for cell in spec.cells if cell.taken is None}
    jobs = retried.newest(store, retried.of_keys(store, [key for pair in keys.values() for key in pair]))
    taken = _taken(store, spec)
    categories = tuple(
        CategoryView(
            label=place.label, kind=kind_of(place.data.dataset, place.data.category), data=place.data
        )
        for place in spec.categories
    )
    cells = tuple(
        _known_cell(cell, taken[cell.taken])
        if cell.taken is not None
        else _computed_cell(cell, *(jobs.get(key) for key in keys[cell]))
        for cell in spec.cells
    )
    return BenchmarkView(
        benchmark=benchmark,
        spec=spec,
        models=spec.models,
        categories=categories,
        seeds=spec.seeds,
        cells=cells,
        published=methods_of(spec.datasets),
        comparisons=read_comparisons(benchmark.summary),
        across=read_across(benchmark.summary),
    )


def _taken(store: Store, spec: BenchmarkSpec) -> dict[str, tuple[Job | None, Job]]:
    """Return the evaluations that were there before by id, each with its training."""
    found: dict[str, tuple[Job | None, Job]] = {}
    for cell in spec.cells:
        if cell.taken is None or cell.taken in found:
            continue
        evaluation = store.jobs.get(cell.taken)
        source = evaluation.spec.source
        found[cell.taken] = (None if source is None else store.jobs.get(source), evaluation)
    return found


def _known_cell(cell: Cell, jobs: tuple[Job | None, Job]) -> CellView:
    training, evaluation = jobs
    return _cell(cell, training, evaluation, JobState.SUCCEEDED, taken=True)


def _computed_cell(cell: Cell, training: Job | None, evaluation: Job | None) -> CellView:
    if training is None or evaluation is None:
        return CellView(
            model=cell.model,
            category=cell.category,
            seed=cell.seed,
            state=JobState.FAILED,
            error="its jobs are gone",
        )
    state = evaluation.state
    if not state.terminal and training.state is JobState.RUNNING:
        state = JobState.RUNNING
    elif state is JobState.WAITING and training.state is JobState.QUEUED:
        state = JobState.QUEUED
    return _cell(cell, training, evaluation, state)


def _cell(
    cell: Cell, training: Job | None, evaluation: Job, state: JobState, *, taken: bool = False
) -> CellView:
    metrics = result_of(evaluation).metrics if state is JobState.SUCCEEDED else {}
    steps = training.result.get("steps") if training is not None else None
    return CellView(
        model=cell.model,
        category=cell.category,
        seed=cell.seed,
        state=state,
        taken=taken,
        found=not taken and steps == 0,
        training=training,
        evaluation=evaluation,
        metrics={name[len(TEST) :]: value for name, value in metrics.items() if name.startswith(TEST)},
        intervals=_intervals(evaluation.result.get("intervals")),
        selected_on=evaluation.tags.get(SELECTED_ON, "none"),
        error=_error(training, evaluation) if state in BAD else "",
    )


def _error(training: Job | None, evaluation: Job) -> str:
    """Return why a cell has no result: what stopped its training, or else its evaluation."""
    for job in (training, evaluation):
        if job is not None and job.state in BAD:
            return f"job {job.id}: {job.error or job.state.value}"
    return ""


def _intervals(value: Json) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for name, ends in (value if isinstance(value, dict) else {}).items():
        if isinstance(ends, list) and len(ends) == 2:
            low, high = ends
            if isinstance(low, int | float) and isinstance(high, int | float):
                found[name.removeprefix(TEST)] = (float(low), float(high))
    return found
