"""What a study's trials do not tell: the final jobs, their test score, and how much the choice flatters."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from ad_platform.records import Study
from ad_platform.specs import Json
from ad_platform.sweeps.objectives import TEST
from ad_platform.sweeps.study_spec import StudySpec

USUAL = f"{TEST}image_auroc"  # what is told of the test where the first objective has no counterpart there


@dataclass(frozen=True, kw_only=True)
class TestScore:
    """A measure on the test images, and where it lies in 95 of 100 draws of them."""

    __test__ = False  # for pytest, which takes a class of such a name for a test

    metric: str  # such as "test/image_auroc"
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """How much the value of a trial flatters because the trial was chosen by it, as the best of many."""

    selected: float  # the value by which it was chosen
    corrected: float  # what the same choice comes to on images that had no part in it
    optimism: float  # the difference
    low: float  # where the corrected value lies in 95 of 100 draws
    high: float
    trials: int  # among how many it was chosen
    images: int


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """What came of a study, as far as it is known; every part may be missing."""

    train_job: str | None = None  # the final fit of the chosen settings
    evaluate_job: str | None = None
    chosen: int | None = None  # the number of the trial
    selected: float | None = None  # its value of the first objective
    test: TestScore | None = None
    preset_test: float | None = None  # the same measure with the settings that the sweep began from
    optimism: Optimism | None = None
    error: str = ""  # why the final jobs came to nothing
    made_at: float | None = None  # seconds since the epoch; None: when the last trial ended


def facts_of(study: Study, spec: StudySpec, made_at: float | None = None) -> ReportFacts:
    """Return what the summary of a study says of its end; what is of a strange type is left out."""
    final, best = _object(study.summary.get("final")), _object(study.summary.get("best"))
    chosen = _whole(final.get("number"))
    values = best.get("values")
    known = chosen is not None and chosen == _whole(best.get("number")) and isinstance(values, list)
    metric = test_metric(spec)
    return ReportFacts(
        train_job=_text(final.get("train")),
        evaluate_job=_text(final.get("evaluate")),
        chosen=chosen,
        selected=_number(values[0]) if known and isinstance(values, list) and values else None,
        test=_test(final, metric),
        preset_test=_number(_object(_object(final.get("preset")).get("metrics")).get(metric)),
        optimism=_optimism(_object(final.get("optimism"))),
        error=_text(final.get("error")) or "",
        made_at=made_at,
    )


def test_metric(spec: StudySpec) -> str:
    """Return the measure on test images that stands beside the first objective."""
    split, _, measure = spec.objectives[0].metric.partition("/")
    return f"{TEST}{measure}" if split in ("validation", "test") and measure else USUAL


test_metric.__test__ = False  # type: ignore[attr-defined]


def _test(final: Mapping[str, Json], metric: str) -> TestScore | None:
    value = _number(_object(final.get("metrics")).get(metric))
    if value is None:
        return None
    ends = _object(final.get("intervals")).get(metric)
    low, high = map(_number, ends) if isinstance(ends, list) and len(ends) == 2 else (None, None)
    return TestScore(metric=metric, value=value, low=low, high=high)


def _optimism(value: Mapping[str, Json]) -> Optimism | None:
    numbers = {
        name: _number(value.get(name)) for name in ("selected", "corrected", "optimism", "low", "high")
    }
    counts = {name: _whole(value.get(name)) for name in ("trials", "images")}
    if None in (*numbers.values(), *counts.values()):
        return None
    return Optimism(**numbers, **counts)  # type: ignore[arg-type]


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)
