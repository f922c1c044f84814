"""Compares two models of a benchmark on one category, by what their evaluations left in the storage."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from ad_platform.benchmarks.comparisons import FEWEST, METRICS, Across, Comparison
from ad_platform.benchmarks.viewing import BenchmarkView, CellView
from ad_platform.errors import CorruptBundle
from ad_platform.results import result_of
from ad_platform.storage.contract import Storage

if TYPE_CHECKING:
    from ad_detectors.metrics.bootstrap import Difference, Evidence

KEPT = 24  # pieces of evidence that are held in memory: those of a category


@dataclass(frozen=True)
class Pair:
    """Two models on a category, with the results both have, seed by seed."""

    first: str
    second: str
    category: str
    cells: tuple[tuple[CellView, CellView], ...]  # of the seeds that both have a result of

    @property
    def mark(self) -> str:
        """Return what stands for these very results: compared once, they need not be compared again."""
        ids = [str(cell.evaluation.id) for two in self.cells for cell in two if cell.evaluation is not None]
        return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """Return which comparison it is."""
        return f"{self.first}|{self.second}|{self.category}"


@dataclass
class Comparer:
    """Compares pairs; the storage is asked once for what several of them need."""

    storage: Storage
    _held: dict[str, Evidence] = field(default_factory=dict)

    def compare(self, pair: Pair) -> list[Comparison]:
        """Return how two models differ in each of METRICS, or why that cannot be told. Raises StorageDown."""
        from ad_detectors.errors import DetectorError

        if not pair.cells:
            return [_untold(pair, metric, "no seed has a result of both") for metric in METRICS]
        try:
            firsts = [self._evidence(first) for first, _ in pair.cells]
            seconds = [self._evidence(second) for _, second in pair.cells]
            found, trouble = _differences(firsts, seconds)
        except (CorruptBundle, DetectorError, ValueError) as error:
            return [_untold(pair, metric, str(error)) for metric in METRICS]
        images = len(firsts[0].labels)
        return [_told(pair, metric, found.get(metric), images, trouble) for metric in METRICS]

    def _evidence(self, cell: CellView) -> Evidence:
        from ad_detectors.metrics import evidence_file

        assert cell.evaluation is not None
        job = cell.evaluation
        if job.id in self._held:
            return self._held[job.id]
        bundle = result_of(job).bundle
        if bundle is None:
            raise CorruptBundle(f"job {job.id} left no results; evaluate anew")
        with tempfile.TemporaryDirectory(prefix="adctl-evidence-") as folder:
            self.storage.fetch(bundle, Path(folder), only=[evidence_file.NAME])
            found = evidence_file.load(Path(folder))
        while len(self._held) >= KEPT:
            del self._held[next(iter(self._held))]
        self._held[job.id] = found
        return found


def pair_of(view: BenchmarkView, first: str, second: str, category: str) -> Pair | None:
    """Return two models on a category once nothing of theirs there is open; None before."""
    cells = [(view.cell(first, category, seed), view.cell(second, category, seed)) for seed in view.seeds]
    if not all(cell.done or cell.bad for two in cells for cell in two):
        return None
    return Pair(first, second, category, tuple(two for two in cells if two[0].done and two[1].done))


def across(view: BenchmarkView, first: str, second: str, metric: str, dataset: str) -> Across:
    """Return how two models differ over the categories of a dataset, by means over the seeds both have."""
    from ad_detectors.metrics.signed_rank import signed_rank_p

    found = [
        difference
        for category in view.categories
        if category.data.dataset == dataset
        and (difference := _mean_difference(view, first, second, category.label, metric)) is not None
    ]
    differing = sum(round(value, 12) != 0 for value in found)
    trouble = ""
    if differing < FEWEST:
        trouble = f"{differing} categories differ, {FEWEST} must for a test"
    return Across(
        first=first,
        second=second,
        metric=metric,
        dataset=dataset,
        difference=fmean(found) if found else None,
        p=signed_rank_p(found) if differing >= FEWEST else None,
        categories=len(found),
        differing=differing,
        trouble=trouble,
    )


def _mean_difference(
    view: BenchmarkView, first: str, second: str, category: str, metric: str
) -> float | None:
    both = [(view.cell(first, category, seed), view.cell(second, category, seed)) for seed in view.seeds]
    values = [
        one.metrics[metric] - other.metrics[metric]
        for one, other in both
        if one.done and other.done and metric in one.metrics and metric in other.metrics
    ]
    return fmean(values) if values else None


def _differences(
    firsts: Sequence[Evidence], seconds: Sequence[Evidence]
) -> tuple[Mapping[str, Difference], str]:
    """Return the differences, and why there are none of pixels if that is so."""
    from dataclasses import replace

    from ad_detectors.metrics.bootstrap import mean_difference

    try:
        return mean_difference(firsts, seconds), ""
    except ValueError:
        # At another size a mask may have other regions; whole images can still be compared.
        plain = [[replace(one, pixels=None) for one in side] for side in (firsts, seconds)]
        return mean_difference(*plain), "the masks differ, as at other image sizes"


def _told(pair: Pair, metric: str, found: Difference | None, images: int, trouble: str) -> Comparison:
    if found is None:
        return _untold(pair, metric, trouble or "not measured by both")
    return Comparison(
        first=pair.first,
        second=pair.second,
        category=pair.category,
        metric=metric,
        difference=found.point,
        low=found.low,
        high=found.high,
        p=found.p,
        images=images,
        seeds=len(pair.cells),
    )


def _untold(pair: Pair, metric: str, why: str) -> Comparison:
    return Comparison(
        first=pair.first,
        second=pair.second,
        category=pair.category,
        metric=metric,
        seeds=len(pair.cells),
        trouble=why,
    )
