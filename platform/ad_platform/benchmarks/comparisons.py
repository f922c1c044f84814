"""How much two models differ, as it is kept with a benchmark: tests within a category and over categories.

A worker computes them (`ad_workers.benchmarking`), since that takes the scores of every image; here they are
read back, and p values are corrected for how many tests there are (Holm, "A simple sequentially rejective
multiple test procedure", Scandinavian Journal of Statistics, 1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

from ad_platform.specs import Json

METRICS = ("image_auroc", "pixel_auroc", "aupro_30")  # that models are compared by
COMPARISONS, ACROSS = "comparisons", "across"  # in a benchmark's summary
ALPHA = 0.05  # a corrected p value below it is called a difference
FEWEST = 6  # categories: of fewer that differ no signed-rank test can come below ALPHA


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on one category: the mean over seeds of `first` minus that of `second`."""

    first: str  # labels of models
    second: str
    category: str
    metric: str  # of METRICS
    difference: float | None = None  # None where it could not be told
    low: float | None = None  # ends of the 95 % interval, by drawing test images anew, for both the same
    high: float | None = None
    p: float | None = None  # two-sided, of that bootstrap
    corrected: float | None = None  # p by Holm among `tests`
    tests: int = 0  # comparisons of this metric that the correction is for
    images: int = 0  # that both have scored
    seeds: int = 0  # that both have results of
    trouble: str = ""  # why there is no difference or no interval

    @property
    def differs(self) -> bool:
        """Whether one of the two is better, beyond what many tests bring forth by chance."""
        return self.corrected is not None and self.corrected < ALPHA


@dataclass(frozen=True, kw_only=True)
class Across:
    """Two models over the categories of a dataset that both have results of: a Wilcoxon signed-rank test."""

    first: str
    second: str
    metric: str
    dataset: str = ""  # whose categories they are
    difference: float | None = None  # mean over categories of `first` minus `second`
    p: float | None = None  # two-sided and exact; None where there are too few categories
    corrected: float | None = None  # p by Holm among the pairs of models
    tests: int = 0
    categories: int = 0  # that both have results of
    differing: int = 0  # of those, how many differ at all: ties say nothing
    trouble: str = ""

    @property
    def differs(self) -> bool:
        """Whether one of the two is better, beyond what many tests bring forth by chance."""
        return self.corrected is not None and self.corrected < ALPHA


Tested = TypeVar("Tested", Comparison, Across)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for how many they are, in the same order."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    corrected, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        corrected[index] = highest
    return corrected


def pairs(models: Sequence[str]) -> list[tuple[str, str]]:
    """Return every two models, once, in their order."""
    return list(combinations(models, 2))


def corrected(found: Sequence[Tested]) -> tuple[Tested, ...]:
    """Return tests with their p values corrected, those of each metric among themselves."""
    result = list(found)
    for metric in dict.fromkeys(one.metric for one in found):
        # All that a person may pick from: every pair of models, on every category or dataset.
        places = [index for index, one in enumerate(found) if one.metric == metric and one.p is not None]
        values = holm([found[index].p or 0.0 for index in places])
        for index, value in zip(places, values, strict=True):
            result[index] = replace(result[index], corrected=value, tests=len(places))
    return tuple(result)


def read_comparisons(summary: Mapping[str, Json]) -> tuple[Comparison, ...]:
    """Return the comparisons on single categories that were kept."""
    kept = summary.get(COMPARISONS)
    found = [_built(Comparison, one) for one in kept] if isinstance(kept, list) else []
    return corrected([one for one in found if one is not None])


def read_across(summary: Mapping[str, Json]) -> tuple[Across, ...]:
    """Return the comparisons over categories that were kept."""
    kept = summary.get(ACROSS)
    found = [_built(Across, one) for one in kept] if isinstance(kept, list) else []
    return corrected([one for one in found if one is not None])


def _built(of: type[Tested], value: Json) -> Tested | None:
    if not isinstance(value, dict):
        return None
    known = {name: each for name, each in value.items() if name in of.__dataclass_fields__}
    return of(**known)  # type: ignore[arg-type]
