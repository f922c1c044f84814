"""The page about a benchmark: who is best at what, where models are worst, and what says so."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ad_platform.benchmark_report import opening, tables
from ad_platform.benchmark_report.standing import Standing, standings, worst_of
from ad_platform.benchmarks.board import boards
from ad_platform.benchmarks.viewing import BenchmarkView, benchmark_view
from ad_platform.errors import CorruptBundle
from ad_platform.job_report import HERE as CASES
from ad_platform.job_report import results
from ad_platform.job_report.results import Results
from ad_platform.pages import frame
from ad_platform.records import Benchmark
from ad_platform.results import result_of
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

PAGE = "report.html"
MOST_PICTURED = 4  # models whose worst category is shown in pictures
STYLE = ".mean th, .mean td { font-weight: 650; } .notes { color: var(--muted); font-size: 14.5px; }\n"


def page_of(store: Store, storage: Storage, benchmark: Benchmark) -> str:
    """Return the page about a benchmark as the store knows it now."""
    view = benchmark_view(store, benchmark)
    found = standings(view)
    return html(view, found, _results(storage, view, found))


def html(view: BenchmarkView, found: Sequence[Standing], evaluated: Mapping[str, Results]) -> str:
    """Return the page; `evaluated` are the scores and pictures of some evaluations, by job."""
    several = boards([view])
    parts = [
        opening.outcome(view, several, found, evaluated),
        opening.worst_categories(found, evaluated),
        *tables.measures(several),
        tables.cells(view),
        tables.lineage(view),
    ]
    return frame.document(
        f"Benchmark {view.benchmark.name}",
        opening.head(view),
        [part for part in parts if part is not None],
        style=frame.read("style.css", CASES) + STYLE,
    )


def _results(storage: Storage, view: BenchmarkView, found: Sequence[Standing]) -> dict[str, Results]:
    """Fetch scores and pictures of each model's worst category; what cannot be read has none."""
    wanted = [worst_of(found, model.label) for model in view.models[:MOST_PICTURED]]
    evaluated: dict[str, Results] = {}
    for standing in wanted:
        cell = standing.worst if standing is not None else None
        evaluation = cell.evaluation if cell is not None else None
        bundle = result_of(evaluation).bundle if evaluation is not None else None
        if evaluation is None or bundle is None:
            continue
        with tempfile.TemporaryDirectory(prefix="adctl-report-") as scratch:
            try:
                storage.fetch(bundle, Path(scratch))
            except CorruptBundle:
                continue
            evaluated[evaluation.id] = results.read(Path(scratch))
    return evaluated
