"""Tells the tracking server what benchmarks have come to: one run each, above the runs of their jobs."""

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ad_platform.benchmark_report import PAGE, page_of
from ad_platform.benchmarks.benchmark_spec import BENCHMARK_TAG
from ad_platform.benchmarks.viewing import BUNDLE, BenchmarkView, benchmark_view
from ad_platform.errors import CorruptBundle, Unavailable
from ad_platform.records import Benchmark, Job
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store
from ad_platform.tracking import benchmark_facts, facts
from ad_platform.tracking.parents import ParentRuns
from ad_platform.tracking.protocol import RunState, Tracker

log = logging.getLogger(__name__)

ENDED = {
    "complete": RunState.FINISHED,
    "incomplete": RunState.FAILED,
    "cancelled": RunState.KILLED,
}  # by the state of a benchmark whose results were put together


class BenchmarkRuns:
    """Keeps the runs of benchmarks up to date; doing it again, wherever, changes nothing."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        tracker: Tracker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._storage, self._tracker = store, storage, tracker
        self._parents = ParentRuns(tracker, clock)

    def __call__(self) -> int:
        """Ship the benchmarks that are due, and return how many; raise Unavailable."""
        count = 0
        for benchmark in self._store.benchmarks.unshipped():
            if benchmark.finished_at is None and not self._parents.is_due(benchmark.id):
                continue
            self._parents.look(benchmark.id)
            try:
                self._ship(benchmark)
            except Unavailable:
                self._parents.forget()
                raise
            except Exception:  # one strange benchmark must not keep the others from being shown
                log.exception("benchmark %s could not be shipped; trying again later", benchmark.name)
            count += 1
        return count

    def parent_of(self, job: Job) -> str | None:
        """Return the run of the benchmark that a job belongs to, made if need be; None if to none."""
        benchmarks = self._store.benchmarks
        return self._parents.above(job, BENCHMARK_TAG, lambda name: facts.benchmark_run(benchmarks.get(name)))

    def _ship(self, benchmark: Benchmark) -> None:
        view = benchmark_view(self._store, benchmark)
        run_id = self._parents.ensure(facts.benchmark_run(benchmark))
        if self._parents.is_new(benchmark.id):
            self._tracker.log_params(run_id, benchmark_facts.params(view.spec))
        self._parents.add(run_id, benchmark.id, benchmark_facts.points(view))
        tags = benchmark_facts.tags(view)
        if problem := self._log_tables(run_id, view):
            tags[facts.PROBLEM_TAG] = problem
        self._tracker.log_tags(run_id, tags)
        state = ENDED.get(view.state)
        if benchmark.finished_at is not None and state is not None:
            self._tracker.end_run(run_id, state, benchmark.finished_at)
        else:
            self._tracker.open_run(run_id)
        self._store.benchmarks.shipped(benchmark, run_id)

    def _log_tables(self, run_id: str, view: BenchmarkView) -> str:
        """Upload the tables once they are there; return what was broken."""
        bundle = view.benchmark.summary.get(BUNDLE)
        if not isinstance(bundle, dict):
            return ""
        with tempfile.TemporaryDirectory(prefix="adctl-benchmark-") as name:
            try:
                self._storage.fetch(str(bundle.get("prefix")), Path(name))
            except CorruptBundle as error:
                return str(error)
            problem = self._write_page(view.benchmark, Path(name))
            self._tracker.log_artifacts(run_id, Path(name))
        return problem

    def _write_page(self, benchmark: Benchmark, folder: Path) -> str:
        """Write the page about a benchmark; return what was in the way."""
        try:
            page = page_of(self._store, self._storage, benchmark)
        except Unavailable:
            raise
        except Exception as error:  # the outermost edge: tables are shown, whatever a page lacks
            log.exception("no page could be made about benchmark %s", benchmark.name)
            return f"no {PAGE} could be made: {error}"
        (folder / PAGE).write_text(page, encoding="utf-8")
        return ""
