"""Follows benchmarks to their end: compares models as categories get ready, and publishes the tables."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ad_platform.benchmarks import formats
from ad_platform.benchmarks.board import boards
from ad_platform.benchmarks.comparisons import ACROSS, COMPARISONS, METRICS, pairs
from ad_platform.benchmarks.results_table import NAME, results_csv
from ad_platform.benchmarks.standing import SUMS, standing_of
from ad_platform.benchmarks.viewing import BUNDLE, BenchmarkView, benchmark_view
from ad_platform.errors import ClaimLost
from ad_platform.records import Benchmark
from ad_platform.specs import Json
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import benchmark_prefix
from ad_platform.store.contract import Store
from ad_workers.benchmarking.comparing import Comparer, Pair, across, pair_of

log = logging.getLogger(__name__)

CLAIM = 120.0  # seconds; a comparison may take some
SHARE = 10  # times as long as a look takes passes between two looks: one of many jobs is not cheap
TURN = 3.0  # seconds of comparing after which sweeps and others have their turn
COMPARED = "compared"  # in a benchmark's summary
MARKDOWN, TABLE = "leaderboard.md", "leaderboard.csv"


@dataclass
class Follower:
    """Takes benchmarks further in the name of one owner; calling it again at any time does no harm."""

    store: Store
    storage: Storage
    owner: str
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, object] = field(default_factory=dict)  # how benchmarks were found when nothing was left
    _next: dict[str, float] = field(default_factory=dict)  # when one is looked at again

    def follow(self, benchmark: Benchmark) -> bool:
        """Do a turn's worth; say whether there is more to do at once."""
        began = self.clock()
        if began < self._next.get(benchmark.id, began):
            return False
        view = benchmark_view(self.store, benchmark)
        self._next[benchmark.id] = began + SHARE * (self.clock() - began)
        looks = tuple((cell.state, cell.evaluation and cell.evaluation.id) for cell in view.cells)
        if view.open and self._left.get(benchmark.id) == looks:
            return False
        if not self.store.benchmarks.claim(benchmark.id, self.owner, CLAIM):
            return False
        try:
            more = self._turn(self.store.benchmarks.get(benchmark.id))
        except ClaimLost as error:
            log.warning("%s", error)
            return False
        finally:
            self.store.benchmarks.release(benchmark.id, self.owner)
        if not more:
            self._left[benchmark.id] = looks
        return more

    def _turn(self, benchmark: Benchmark) -> bool:
        seen = self._newest(benchmark)  # before the jobs are looked at: one that comes later opens it again
        view = benchmark_view(self.store, benchmark)
        summary, more = self._compared(view)
        summary[SUMS] = standing_of(view).to_json()  # a change of it is worth showing
        if not view.open and not more:
            kept = self._published(benchmark, summary)
            self.store.benchmarks.summarise(benchmark.id, self.owner, kept, seen)
            return False
        kept = {**summary, BUNDLE: None}
        self.store.benchmarks.summarise(benchmark.id, self.owner, kept)
        return more

    def _newest(self, benchmark: Benchmark) -> int:
        newest = self.store.jobs.search(group=benchmark.name, limit=1)
        return newest[0].seq if newest else 0

    def _compared(self, view: BenchmarkView) -> tuple[dict[str, Json], bool]:
        """Return the summary with as many more comparisons as fit a turn, and whether some are left."""
        summary = dict(view.benchmark.summary)
        marks = _mapping(summary.get(COMPARED))
        kept = {_place(one): one for one in _listed(summary.get(COMPARISONS))}
        comparer, until, more = Comparer(self.storage), self.clock() + TURN, False
        ready = _ready(view)
        for pair in ready:
            if marks.get(pair.place) == pair.mark:
                continue
            if self.clock() >= until:
                more = True
                break
            for one in comparer.compare(pair):
                kept[pair.place, one.metric] = _kept(asdict(one))
            marks[pair.place] = pair.mark
        places = {pair.place for pair in ready}  # what is computed anew says nothing yet
        summary[COMPARED] = {place: mark for place, mark in marks.items() if place in places}
        summary[COMPARISONS] = [
            kept[pair.place, metric] for pair in ready for metric in METRICS if (pair.place, metric) in kept
        ]
        names = [model.label for model in view.models]
        whole = not view.open and not more
        every = [
            across(view, *two, metric, dataset)
            for metric in METRICS
            for two in pairs(names)
            for dataset in view.spec.datasets
        ]
        summary[ACROSS] = [_kept(asdict(one)) for one in every] if whole else []
        return summary, more

    def _published(self, benchmark: Benchmark, summary: Mapping[str, Json]) -> dict[str, Json]:
        """Store the tables and return the summary that names them; what lies there already stands."""
        from dataclasses import replace

        before = benchmark.summary
        if benchmark.finished_at is not None and {**summary, BUNDLE: before.get(BUNDLE)} == dict(before):
            return dict(before)
        view = benchmark_view(self.store, replace(benchmark, summary=summary))
        with tempfile.TemporaryDirectory(prefix="adctl-benchmark-") as name:
            write_tables(view, Path(name))
            prefix = benchmark_prefix(benchmark.id, benchmark.version)
            manifest = self.storage.publish(prefix, Path(name), {"benchmark": benchmark.name})
        return {**summary, BUNDLE: {"prefix": prefix, "manifest_sha256": manifest.sha256}}


def write_tables(view: BenchmarkView, folder: Path) -> None:
    """Write results.csv and the leaderboard, to read and to compute with, into a folder."""
    found = boards([view])
    (folder / NAME).write_text(results_csv(view), encoding="utf-8")
    (folder / MARKDOWN).write_text(formats.as_markdown(found, METRICS), encoding="utf-8")
    (folder / TABLE).write_text(formats.as_csv(found, METRICS), encoding="utf-8")


def _ready(view: BenchmarkView) -> list[Pair]:
    names = [model.label for model in view.models]
    found = [
        pair_of(view, first, second, category.label)
        for category in view.categories
        for first, second in pairs(names)
    ]
    return [pair for pair in found if pair is not None]


def _place(value: Mapping[str, Json]) -> tuple[str, str]:
    return f"{value.get('first')}|{value.get('second')}|{value.get('category')}", str(value.get("metric"))


def _mapping(value: Json) -> dict[str, Json]:
    return dict(value) if isinstance(value, dict) else {}


def _listed(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _kept(value: dict[str, Json]) -> dict[str, Json]:
    """Return what a comparison is kept as: what corrects it depends on all the others."""
    return {name: each for name, each in value.items() if name not in ("corrected", "tests")}
