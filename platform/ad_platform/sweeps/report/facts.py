"""What a study's trials do not tell: the final jobs, their test score, and how much the choice flatters."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Self

from ad_platform.records import Study
from ad_platform.specs import Json

FINAL = "final"  # the part of a study's summary that these are kept in


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
    made_at: float | None = None  # seconds since the epoch; None: when the last trial ended

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from what `to_json` gave; what is missing, or of a strange type, is left out."""
        return cls(
            train_job=_text(value.get("train_job")),
            evaluate_job=_text(value.get("evaluate_job")),
            chosen=_whole(value.get("chosen")),
            selected=_number(value.get("selected")),
            test=_test(value.get("test")),
            preset_test=_number(value.get("preset_test")),
            optimism=_optimism(value.get("optimism")),
            made_at=_number(value.get("made_at")),
        )


def facts_of(study: Study) -> ReportFacts:
    """Return what the summary of a study says of its end."""
    final = study.summary.get(FINAL)
    return ReportFacts.from_json(final) if isinstance(final, dict) else ReportFacts()


def _test(value: Json) -> TestScore | None:
    if not isinstance(value, dict):
        return None
    metric, score = _text(value.get("metric")), _number(value.get("value"))
    if metric is None or score is None:
        return None
    return TestScore(
        metric=metric, value=score, low=_number(value.get("low")), high=_number(value.get("high"))
    )


def _optimism(value: Json) -> Optimism | None:
    if not isinstance(value, dict):
        return None
    numbers = {
        name: _number(value.get(name)) for name in ("selected", "corrected", "optimism", "low", "high")
    }
    counts = {name: _whole(value.get(name)) for name in ("trials", "images")}
    if None in (*numbers.values(), *counts.values()):
        return None
    return Optimism(**numbers, **counts)  # type: ignore[arg-type]


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)
